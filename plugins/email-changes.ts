import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { deleteKeys } from '../sql/api-keys.ts'
import {
  credentialsById, type CredentialVersion, deleteCredentials, deletePassword, lockCredential, setPassword
} from '../sql/credentials.ts'
import type { Queryable } from '../sql/database.ts'
import { deleteTokens } from '../sql/email-tokens.ts'
import { dropUndoMails } from '../sql/mails.ts'
import { deleteLoneRecoveryCodes, deleteSecondFactors, factorsOf } from '../sql/second-factors.ts'
import { endSessions } from '../sql/sessions.ts'
import { changeEmail, verifyEmail } from '../sql/user-emails.ts'
import type { PresentedFactor } from '../src/api/second-factor.ts'
import type { User } from '../src/api/users.ts'
import { ApiError } from '../src/errors.ts'
import type { SessionEntry } from '../src/tokens/session-cache.ts'
import type { Transact } from './email-token-use.ts'
import type { PresentedEmailToken } from './email-tokens.ts'

/**
 * What proves, beside the mailbox, that the user acts: a living session, or the password that was just verified.
 * Without either, the owner of the mailbox chooses a new password, whose hash this is.
 */
export type Proof = { caller: SessionEntry } | { verified: CredentialVersion } | { hash: string }

/** Changes that a token permits. Each is one transaction that uses the token, with its audit event. */
export interface EmailChanges {
  /**
   * Verifies the address of a user, or changes it to the one that the mail went to.
   * @throws ApiError PROOF_REQUIRED, EMAIL_TAKEN, TOKEN_INVALID or CODE_INVALID, and what `recheck` throws
   */
  verify (presented: PresentedEmailToken, proof: Proof, request: FastifyRequest): Promise<void>
  /**
   * Gives a user a new password.
   * @param factor of a user with a verified address, if the user has one
   * @throws ApiError TOKEN_INVALID or CODE_INVALID, SECOND_FACTOR_REQUIRED if there is none, and what
   * `secondFactors.use` throws
   */
  reset (
    presented: PresentedEmailToken, hash: string, factor: PresentedFactor | undefined, request: FastifyRequest
  ): Promise<void>
  /** Gives a user the former address back. @throws ApiError TOKEN_INVALID or EMAIL_TAKEN */
  undo (presented: PresentedEmailToken, request: FastifyRequest): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    emailChanges: EmailChanges
  }
}

const isSame = (one: string, other: string): boolean => one.toLowerCase() === other.toLowerCase()

export default fp(async function emailChanges (fastify) {
  const { mail, secondFactors } = fastify

  /**
   * Gives the owner of the mailbox a new password, and ends all access by the one before. If the address was not
   * verified until now, somebody else may have registered it, and loses the second factors as well.
   */
  async function replacePassword (transaction: Queryable, { id, emailVerified }: User, hash: string): Promise<void> {
    await transaction.query(endSessions(id))
    await transaction.query(deleteKeys(id))
    if (!emailVerified) await transaction.query(deleteCredentials(id))
    await transaction.query(setPassword(id, hash))
  }

  /** @throws ApiError SECOND_FACTOR_REQUIRED if the user, who is locked, has one */
  async function rejectSecondFactor (transaction: Queryable, { id }: User): Promise<void> {
    const [factors] = await transaction.query(factorsOf(id))
    if (factors?.totp || factors?.passkeys) throw new ApiError('SECOND_FACTOR_REQUIRED')
  }

  /** @throws ApiError if the proof is no longer valid */
  async function recheckProof (transaction: Queryable, proof: Proof, user: User): Promise<void> {
    if ('caller' in proof) await fastify.recheck(transaction, proof.caller, 'signed-in')
    else if ('verified' in proof) {
      const [locked] = await transaction.query(lockCredential(proof.verified))
      if (!locked) throw new ApiError('PASSWORD_INVALID')
    } else if (user.emailVerified) throw new ApiError('PROOF_REQUIRED')
  }

  fastify.decorate('emailChanges', {
    async verify (presented, proof, request) {
      const { purpose, email, invalid } = presented
      await fastify.useEmailToken(presented, request, async (transaction, user) => {
        await recheckProof(transaction, proof, user)
        await transaction.query(deleteTokens(user.id, { undo: false }))
        if (purpose === 'email-change') {
          if ('hash' in proof) throw new ApiError('PROOF_REQUIRED')
          await transaction.query(changeEmail(user.id, email))
          if (!isSame(user.email, email)) await fastify.mailUndo(transaction, user)
          return { event: 'user_updated', detail: { email: 'changed' } }
        }
        if (!isSame(user.email, email)) throw new ApiError(invalid)
        await transaction.query(verifyEmail(user.id))
        if ('hash' in proof) await replacePassword(transaction, user, proof.hash)
        return { event: 'user_updated', detail: { email: 'verified', takenOver: 'hash' in proof } }
      })
    },

    async reset (presented, hash, factor, request) {
      const [owner] = await request.db.query(credentialsById(presented.userId))
      if (!owner) throw new ApiError(presented.invalid)
      const transact: Transact = async work => factor
        ? await secondFactors.use(owner, factor, { type: 'password-reset' }, request, work)
        : await request.db.transaction(work)
      await fastify.useEmailToken(presented, request, async (transaction, user) => {
        if (!factor && user.emailVerified) await rejectSecondFactor(transaction, user)
        if (!isSame(user.email, presented.email)) throw new ApiError(presented.invalid)
        await transaction.query(deleteTokens(user.id, { undo: false }))
        if (!user.emailVerified) await transaction.query(verifyEmail(user.id))
        await replacePassword(transaction, user, hash)
        const { email: recipient, username } = user
        await mail.queue(transaction, { kind: 'password-was-reset', recipient, userId: user.id, data: { username } })
        return { event: 'authn_password_change', detail: { reset: true, takenOver: !user.emailVerified } }
      }, transact).catch(async (error: unknown) => {
        if (!(error instanceof ApiError) || error.code !== 'SECOND_FACTOR_REQUIRED') throw error
        await fastify.countCodeFailure(owner.email)
        throw await secondFactors.required('password-reset', owner, request)
      })
    },

    async undo (presented, request) {
      const { email } = presented
      await fastify.useEmailToken(presented, request, async (transaction, user, since) => {
        await transaction.query(changeEmail(user.id, email))
        await transaction.query(endSessions(user.id))
        await transaction.query(deleteKeys(user.id))
        await transaction.query(dropUndoMails(user.id))
        await transaction.query(deleteTokens(user.id, { undo: true }))
        // Whoever changed the address probably knows the password, and may have added second factors since. Earlier
        // ones are kept, and the reset of the password requires one: an old mailbox alone gives no access.
        await transaction.query(deletePassword(user.id))
        await transaction.query(deleteSecondFactors(user.id, since))
        await transaction.query(deleteLoneRecoveryCodes(user.id))
        const { id: userId, username, email: changed } = user
        await mail.queue(transaction, { kind: 'password-reset', recipient: email, userId, counted: 'none' })
        await mail.queue(transaction, { kind: 'email-restored', recipient: changed, userId, data: { username } })
        return { event: 'user_updated', detail: { email: 'restored' } }
      })
    }
  })
}, {
  name: 'email-changes',
  fastify: '5.x',
  dependencies: ['deadline', 'email-token-use', 'email-tokens', 'guard', 'mail', 'second-factors', 'sign-in-throttle']
})
