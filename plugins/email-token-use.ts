import fp from 'fastify-plugin'
import { insertAuditEvent } from '../sql/audit.ts'
import { deleteChallenges } from '../sql/challenges.ts'
import type { Queryable } from '../sql/database.ts'
import { takeToken } from '../sql/email-tokens.ts'
import { dropTokenMails } from '../sql/mails.ts'
import { isTaken } from '../sql/sign-up.ts'
import { lockUser } from '../sql/user-changes.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { User } from '../src/api/users.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/telemetry/security-events.ts'
import type { PresentedEmailToken } from './email-tokens.ts'

interface Change {
  event: SecurityEvent
  detail: Record<string, unknown>
}

/** Runs the statements of a change in a transaction. */
export type Transact = <Result>(work: (transaction: Queryable) => Promise<Result>) => Promise<Result>

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Uses a token in the transaction of the change that it permits, with the change's audit event.
     * @param work `user` is locked; `since` is when the token was created
     * @param transact `request.db.transaction` unless given
     * @throws ApiError TOKEN_INVALID, CODE_INVALID or EMAIL_TAKEN, and what `work` and `transact` throw
     */
    useEmailToken (
      presented: PresentedEmailToken, request: FastifyRequest,
      work: (transaction: Queryable, user: User, since: Date) => Promise<Change>, transact?: Transact
    ): Promise<void>
  }
}

export default fp(async function emailTokenUse (fastify) {
  const { mail, sessionCache } = fastify

  fastify.decorate('useEmailToken', async (presented, request, work, transact) => {
    const { userId, email, tokenHash, invalid } = presented
    const run: Transact = transact ?? (async work => await request.db.transaction(work))
    const { event, detail } = await run(async transaction => {
      const [user] = await transaction.query(lockUser(userId))
      if (!user || user.disabled) throw new ApiError(invalid)
      await transaction.query(dropTokenMails(userId, [user.email, email]))
      const [taken] = await transaction.query(takeToken(userId, tokenHash))
      if (!taken) throw new ApiError(invalid)
      await transaction.query(deleteChallenges(userId))
      const planned = await work(transaction, user, taken.createdAt)
      const author = { actorId: userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ ...planned, userId, ...author }))
      return planned
    }).catch((error: unknown) => { throw isTaken(error) ? new ApiError('EMAIL_TAKEN') : error })
    sessionCache.invalidate(userId)
    mail.wake()
    logSecurityEvent(request, event, { userId, ...detail })
  })
}, { name: 'email-token-use', fastify: '5.x', dependencies: ['deadline', 'mail', 'session-cache'] })
