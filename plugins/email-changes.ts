import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { deleteKeys } from '../sql/api-keys.ts'
import { insertAuditEvent } from '../sql/audit.ts'
import { type CredentialVersion, deleteCredentials, lockCredential, setPassword } from '../sql/credentials.ts'
import type { Queryable } from '../sql/database.ts'
import { deleteTokens, takeToken } from '../sql/email-tokens.ts'
import { dropTokenMails, dropUndoMails } from '../sql/mails.ts'
import { endSessions } from '../sql/sessions.ts'
import { isTaken } from '../sql/sign-up.ts'
import { changeEmail, verifyEmail } from '../sql/user-emails.ts'
import { lockUser } from '../sql/user-changes.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { User } from '../src/api/users.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/telemetry/security-events.ts'
import type { SessionEntry } from '../src/tokens/session-cache.ts'
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
  /** Gives a user a new password. @throws ApiError TOKEN_INVALID or CODE_INVALID */
  reset (presented: PresentedEmailToken, hash: string, request: FastifyRequest): Promise<void>
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
  const { mail, sessionCache } = fastify

  /** Runs `work` in the transaction that uses a token. It returns the event. @throws ApiError EMAIL_TAKEN */
  async function use (
    presented: PresentedEmailToken, request: FastifyRequest,
    work: (transaction: Queryable, user: User) => Promise<{ event: SecurityEvent, detail: Record<string, unknown> }>
  ): Promise<void> {
    const { userId, email, tokenHash, invalid } = presented
    const { event, detail } = await request.db.transaction(async transaction => {
      const [user] = await transaction.query(lockUser(userId))
      if (!user || user.disabled) throw new ApiError(invalid)
      await transaction.query(dropTokenMails(userId, [user.email, email]))
      const [taken] = await transaction.query(takeToken(userId, tokenHash))
      if (!taken) throw new ApiError(invalid)
      const planned = await work(transaction, user)
      const author = { actorId: userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ ...planned, userId, ...author }))
      return planned
    }).catch((error: unknown) => { throw isTaken(error) ? new ApiError('EMAIL_TAKEN') : error })
    sessionCache.invalidate(userId)
    mail.wake()
    logSecurityEvent(request, event, { userId, ...detail })
  }

  /**
   * Makes a user belong to the owner of the mailbox alone. Whoever has registered somebody else's address loses the
   * password, the sessions, the API keys and all that was pending.
   */
  async function takeOver (transaction: Queryable, userId: number, hash: string): Promise<void> {
    await transaction.query(endSessions(userId))
    await transaction.query(deleteKeys(userId))
    await transaction.query(deleteCredentials(userId))
    await transaction.query(setPassword(userId, hash))
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
      await use(presented, request, async (transaction, user) => {
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
        if ('hash' in proof) await takeOver(transaction, user.id, proof.hash)
        return { event: 'user_updated', detail: { email: 'verified', takenOver: 'hash' in proof } }
      })
    },

    async reset (presented, hash, request) {
      await use(presented, request, async (transaction, user) => {
        if (!isSame(user.email, presented.email)) throw new ApiError(presented.invalid)
        await transaction.query(deleteTokens(user.id, { undo: false }))
        if (user.emailVerified) {
          await transaction.query(endSessions(user.id))
          await transaction.query(deleteKeys(user.id))
          await transaction.query(setPassword(user.id, hash))
        } else {
          await transaction.query(verifyEmail(user.id))
          await takeOver(transaction, user.id, hash)
        }
        const { email: recipient, username } = user
        await mail.queue(transaction, { kind: 'password-was-reset', recipient, userId: user.id, data: { username } })
        return { event: 'authn_password_change', detail: { reset: true, takenOver: !user.emailVerified } }
      })
    },

    async undo (presented, request) {
      const { email } = presented
      await use(presented, request, async (transaction, user) => {
        await transaction.query(changeEmail(user.id, email))
        await transaction.query(endSessions(user.id))
        await transaction.query(deleteKeys(user.id))
        await transaction.query(dropUndoMails(user.id))
        await transaction.query(deleteTokens(user.id, { undo: true }))
        // Whoever changed the address probably knows the password.
        await transaction.query(deleteCredentials(user.id))
        const { id: userId, username, email: changed } = user
        await mail.queue(transaction, { kind: 'password-reset', recipient: email, userId, isLimited: false })
        await mail.queue(transaction, { kind: 'email-restored', recipient: changed, userId, data: { username } })
        return { event: 'user_updated', detail: { email: 'restored' } }
      })
    }
  })
}, { name: 'email-changes', fastify: '5.x', dependencies: ['deadline', 'email-tokens', 'guard', 'mail', 'session-cache'] })
