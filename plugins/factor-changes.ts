import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { insertAuditEvent } from '../sql/audit.ts'
import { takeChallenge } from '../sql/challenges.ts'
import type { CredentialVersion } from '../sql/credentials.ts'
import type { Queryable } from '../sql/database.ts'
import { deleteLoneRecoveryCodes, factorsOf, replaceRecoveryCodes } from '../sql/second-factors.ts'
import { endOtherSessions } from '../sql/sessions.ts'
import { renewSession } from '../sql/sign-in.ts'
import { lockUser } from '../sql/user-changes.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { User } from '../src/api/users.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError, type ErrorCode } from '../src/errors.ts'
import type { ChallengeType } from '../src/factors/challenge.ts'
import { hashRecoveryCode, newRecoveryCodes } from '../src/factors/recovery-codes.ts'
import type { MailKind } from '../src/mail/kinds.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import type { AuthenticationMethod } from '../src/tokens/authentication.ts'

/** A second factor that the caller adds. */
interface Addition {
  /** names it in a mail, such as “an authenticator app” */
  factor: string
  amr: AuthenticationMethod[]
  challenge: { hash: string, type: ChallengeType, invalid: ErrorCode }
  /** always makes new recovery codes, instead of only with the first second factor */
  renewsCodes?: true
  /**
   * Stores the factor, in a transaction that has locked the caller.
   * @param data of the challenge
   * @returns no row if it is a passkey that is registered already
   */
  insert (
    transaction: Queryable, data: Record<string, string>
  ): Promise<Array<{ credentialId: string, version: number }>>
}

/** Changes of the caller's second factors. Each is one transaction with its audit event and its mail. */
export interface FactorChanges {
  /**
   * Adds a second factor. Every other session ends, and the current one is fresh by the new factor.
   * @throws ApiError `invalid` if the challenge is not of this session, PASSKEY_INVALID, what `recheck` throws,
   * and what `insert` throws
   */
  add (
    addition: Addition, request: FastifyRequest
  ): Promise<{ accessToken: string, recoveryCodes?: string[], credentialId: string }>
  /** Removes a second factor, which `remove` names in the mail. Every other session ends. */
  remove (remove: (transaction: Queryable) => Promise<string>, request: FastifyRequest): Promise<void>
  /** @returns ten new codes, in place of the current ones. @throws ApiError SECOND_FACTOR_MISSING */
  replaceRecoveryCodes (request: FastifyRequest): Promise<string[]>
}

declare module 'fastify' {
  interface FastifyInstance {
    factorChanges: FactorChanges
  }
}

export default fp<{ config: Config }>(async function factorChanges (fastify, { config }) {
  const { accessTokens, mail, sessionCache } = fastify

  /** Runs a change, with its audit event and its mail. `work` returns what both name. */
  async function change<Result> (
    kind: MailKind, request: FastifyRequest,
    work: (transaction: Queryable, user: User) => Promise<{ result: Result, named: Record<string, string> }>
  ): Promise<Result> {
    const { userId } = request.caller
    const { result, detail } = await request.db.transaction(async transaction => {
      const [user] = await transaction.query(lockUser(userId))
      if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
      await fastify.recheck(transaction, request.caller, 'signed-in')
      const { result, named } = await work(transaction, user)
      const { username, email: recipient } = user
      await mail.queue(transaction, { kind, recipient, userId, data: { username, ...named } })
      const author = { actorId: userId, ip: clientAddress(request) }
      const detail = { change: kind, ...named }
      await transaction.query(insertAuditEvent({ event: 'user_updated', userId, detail, ...author }))
      return { result, detail }
    })
    sessionCache.invalidate(userId)
    mail.wake()
    logSecurityEvent(request, 'user_updated', { userId, ...detail })
    return result
  }

  async function storeRecoveryCodes (transaction: Queryable, userId: number): Promise<string[]> {
    const codes = newRecoveryCodes()
    await transaction.query(replaceRecoveryCodes(userId, codes.map(hashRecoveryCode)))
    return codes
  }

  /** Records that the current session has proved the new factor beside what it has proved before. */
  async function renew (
    transaction: Queryable, verified: CredentialVersion, added: AuthenticationMethod[], { caller }: FastifyRequest
  ) {
    const amr = [...new Set([...caller.amr, ...added])]
    const { sessionId } = caller
    const [session] = await transaction.query(
      renewSession(verified, { sessionId, amr, idle: config.REFRESH_IDLE_TTL }))
    if (!session) throw new ApiError('ACCESS_TOKEN_INVALID')
    return session
  }

  fastify.decorate('factorChanges', {
    async add ({ factor, amr, challenge: { hash, type, invalid }, renewsCodes, insert }, request) {
      const { userId, sessionId } = request.caller
      const { session, ...added } = await change('second-factor-added', request, async transaction => {
        const [taken] = await transaction.query(takeChallenge(hash, type))
        if (taken?.userId !== userId || taken.sessionId !== sessionId) throw new ApiError(invalid)
        const [former] = await transaction.query(factorsOf(userId))
        const [inserted] = await insert(transaction, taken.data)
        if (!inserted) throw new ApiError('PASSKEY_INVALID', 'it is registered already')
        const isFirst = former?.recoveryCodes === 0
        const recoveryCodes = renewsCodes || isFirst ? await storeRecoveryCodes(transaction, userId) : undefined
        await transaction.query(endOtherSessions(userId, sessionId))
        const session = await renew(transaction, { userId, ...inserted }, amr, request)
        const { credentialId } = inserted
        return { result: { session, credentialId, ...recoveryCodes && { recoveryCodes } }, named: { factor } }
      })
      return { ...added, accessToken: accessTokens.issue({ userId, sessionId, ...session }) }
    },

    async remove (remove, request) {
      const { userId, sessionId } = request.caller
      await change('second-factor-removed', request, async transaction => {
        const factor = await remove(transaction)
        await transaction.query(deleteLoneRecoveryCodes(userId))
        await transaction.query(endOtherSessions(userId, sessionId))
        return { result: undefined, named: { factor } }
      })
    },

    replaceRecoveryCodes: async request => await change('recovery-codes-replaced', request, async (transaction, { id }) => {
      const [factors] = await transaction.query(factorsOf(id))
      if (!factors?.totp && !factors?.passkeys) throw new ApiError('SECOND_FACTOR_MISSING')
      return { result: await storeRecoveryCodes(transaction, id), named: {} }
    })
  })
}, {
  name: 'factor-changes', fastify: '5.x', dependencies: ['deadline', 'guard', 'jwt', 'mail', 'session-cache']
})
