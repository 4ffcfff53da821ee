import fp from 'fastify-plugin'
import { insertAuditEvent } from '../sql/audit.ts'
import { deleteChallenges } from '../sql/challenges.ts'
import { changePassword, type CredentialVersion } from '../sql/credentials.ts'
import { deleteTokens } from '../sql/email-tokens.ts'
import { dropTokenMails } from '../sql/mails.ts'
import { endSessions } from '../sql/sessions.ts'
import { clientAddress } from '../src/api/client-address.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import type { Tokens } from './sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Changes the caller's password, ends every session of the caller, the current one included, and opens a new one.
     * An attacker may share the current session.
     * @param user whom a mail tells
     * @param verified the current password
     * @param hash of the new password
     * @throws ApiError PASSWORD_INVALID if the password was changed since
     */
    changePassword (
      user: { email: string, username: string }, verified: CredentialVersion, hash: string, request: FastifyRequest
    ): Promise<Tokens>
  }
}

export default fp(async function passwordChanges (fastify) {
  const { mail, sessionCache, sessions } = fastify

  fastify.decorate('changePassword', async ({ email: recipient, username }, verified, hash, request) => {
    const { userId } = request.caller
    const tokens = await request.db.transaction(async transaction => {
      await fastify.recheck(transaction, request.caller, request.routeOptions.config.access)
      const [changed] = await transaction.query(changePassword(verified, hash))
      await transaction.query(endSessions(userId))
      await transaction.query(deleteChallenges(userId))
      // Somebody else may have asked for a link to reset the password.
      await transaction.query(dropTokenMails(userId, [recipient]))
      await transaction.query(deleteTokens(userId, { undo: false }))
      const author = { actorId: userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ event: 'authn_password_change', userId, ...author }))
      const opened = changed && await sessions.open({ ...verified, ...changed }, ['pwd'], request, transaction)
      if (!opened) throw new ApiError('PASSWORD_INVALID')
      await mail.queue(transaction, { kind: 'password-changed', recipient, userId, data: { username } })
      return opened.tokens
    })
    sessionCache.invalidate(userId)
    mail.wake()
    logSecurityEvent(request, 'authn_password_change', { userId })
    return tokens
  })
}, {
  name: 'password-changes', fastify: '5.x', dependencies: ['deadline', 'guard', 'mail', 'session-cache', 'sessions']
})
