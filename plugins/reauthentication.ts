import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type CredentialVersion, credentialsById, type Password, passwordOf } from '../sql/credentials.ts'
import { renewSession } from '../sql/sign-in.ts'
import type { RowOf } from '../sql/statement.ts'
import { clientNetwork } from '../src/api/client-address.ts'
import type { PresentedFactor } from '../src/api/second-factor.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/telemetry/security-events.ts'

type UserWithPassword = RowOf<typeof credentialsById>

/** For routes for which a stolen access token must not suffice. */
export interface Reauthentication {
  /** The caller with the password. @throws ApiError ACCESS_TOKEN_INVALID if deleted since the guard decided */
  findCaller (request: FastifyRequest): Promise<UserWithPassword>
  /**
   * Verifies the caller's password. Wrong ones are counted per session, so that guesses from elsewhere do not keep the
   * user out.
   * @param failure the event of a wrong one
   * @throws ApiError PASSWORD_INVALID, also if the user has no password; SIGNIN_THROTTLED; BUSY
   */
  verifyPassword (
    caller: UserWithPassword, given: string, request: FastifyRequest, failure?: SecurityEvent
  ): Promise<Password>
  /** The same for a user who is not signed in. Wrong ones are counted like those of sign-ins. */
  verifyPasswordOf (user: UserWithPassword, given: string, request: FastifyRequest): Promise<Password>
  /**
   * Renews the caller's session.
   * @returns a new access token
   * @throws ApiError ACCESS_TOKEN_INVALID if the session ended, and PASSWORD_INVALID if the password was changed, since
   */
  renew (verified: CredentialVersion, request: FastifyRequest): Promise<string>
  /**
   * Renews the caller's session by a second factor.
   * @returns a new access token
   * @throws ApiError ACCESS_TOKEN_INVALID if the session ended, and what `secondFactors.use` throws
   */
  renewByFactor (caller: UserWithPassword, presented: PresentedFactor, request: FastifyRequest): Promise<string>
}

declare module 'fastify' {
  interface FastifyInstance {
    reauthentication: Reauthentication
  }
}

export default fp<{ config: Config }>(async function reauthentication (fastify, { config }) {
  const { accessTokens, passwords, secondFactors, sessionCache } = fastify
  const idle = config.REFRESH_IDLE_TTL

  async function verify (
    user: UserWithPassword, given: string, request: FastifyRequest,
    { failure, origin }: { failure: SecurityEvent, origin?: string }
  ): Promise<Password> {
    const password = passwordOf(user)
    const matches = await fastify.throttleSignIn({ username: user.username, userId: user.id, origin }, request,
      async () => await passwords.verify(password?.hash, given, clientNetwork(request)))
    if (matches && password) return password
    logSecurityEvent(request, failure, { userId: user.id })
    if (user.hasSecondFactor) await fastify.countCodeFailure(user.email)
    throw new ApiError('PASSWORD_INVALID')
  }

  function renewed (row: RowOf<typeof renewSession>, request: FastifyRequest): string {
    const { userId, sessionId } = request.caller
    sessionCache.invalidate(userId)
    logSecurityEvent(request, 'authn_login_success', { userId, sessionId })
    return accessTokens.issue({ userId, sessionId, ...row })
  }

  fastify.decorate('reauthentication', {
    async findCaller ({ caller, db }) {
      const [user] = await db.query(credentialsById(caller.userId))
      if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
      return user
    },

    verifyPassword: async (user, given, request, failure = 'authn_login_fail') =>
      await verify(user, given, request, { failure, origin: request.caller.sessionId }),

    verifyPasswordOf: async (user, given, request) => await verify(user, given, request, { failure: 'authn_login_fail' }),

    async renew (verified, request) {
      const { sessionId } = request.caller
      const [session] = await request.db.query(
        renewSession(verified, { sessionId, amr: ['pwd'], idle }))
      if (!session) {
        await fastify.recheck(request.db, request.caller, request.routeOptions.config.access)
        throw new ApiError('PASSWORD_INVALID')
      }
      return renewed(session, request)
    },

    async renewByFactor (caller, presented, request) {
      const { sessionId } = request.caller
      const session = await secondFactors.use(caller, presented, { type: 'reauthentication' }, request,
        async (transaction, { credential, amr: used }) => {
          const amr = [...new Set([...request.caller.amr, ...used])]
          const [row] = await transaction.query(renewSession(credential, { sessionId, amr, idle }))
          if (!row) throw new ApiError('ACCESS_TOKEN_INVALID')
          return row
        })
      return renewed(session, request)
    }
  })
}, {
  name: 'reauthentication',
  fastify: '5.x',
  dependencies: ['deadline', 'guard', 'jwt', 'passwords', 'second-factors', 'session-cache', 'sign-in-throttle']
})
