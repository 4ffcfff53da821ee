import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { CredentialVersion } from '../sql/credentials.ts'
import type { Queryable } from '../sql/database.ts'
import { endRejectedSession, rotateSession } from '../sql/rotation.ts'
import { endSession, endSessions } from '../sql/sessions.ts'
import { insertSession } from '../sql/sign-in.ts'
import type { Statement } from '../sql/statement.ts'
import type { Role } from '../src/access.ts'
import { clientAddress, clientNetwork } from '../src/api/client-address.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog, logSecurityEvent } from '../src/telemetry/security-events.ts'
import type { AuthenticationMethod } from '../src/tokens/authentication.ts'
import { beginOf, newId } from '../src/tokens/ids.ts'
import { rotationOf } from '../src/tokens/refresh-token.ts'

export type Tokens = Record<'accessToken' | 'refreshToken', string>

interface OpenedSession {
  tokens: Tokens
  /** the user's roles, as in the access token */
  roles: readonly Role[]
}

export interface Sessions {
  /**
   * Opens a session for a user whose credential was verified.
   * @param amr how the user authenticated
   * @param on a transaction to be part of
   * @returns undefined if the user was deleted or disabled, or the credential changed, since
   */
  open (
    verified: CredentialVersion, amr: AuthenticationMethod[], request: FastifyRequest, on?: Queryable
  ): Promise<OpenedSession | undefined>
  /**
   * Exchanges a refresh token for new tokens, as REFRESH_ROTATION says.
   * @param audience `aud` of the access token
   * @throws ApiError REFRESH_TOKEN_UNKNOWN or REFRESH_TOKEN_EXPIRED
   */
  refresh (refreshToken: string, request: FastifyRequest, audience: string): Promise<Tokens>
  /** The session id of a genuine refresh token. The session may have ended. */
  idOf (refreshToken: string): string | undefined
  /**
   * Ends the session of a refresh token. Any token of the session will do.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN for a token that is not genuine
   */
  signOut (refreshToken: string, request: FastifyRequest): Promise<void>
  /** Ends one session of the caller. @returns whether it existed @throws ApiError ACCESS_TOKEN_INVALID */
  end (sessionId: string, request: FastifyRequest): Promise<boolean>
  /** Ends every session of the caller. @throws ApiError ACCESS_TOKEN_INVALID */
  endAll (request: FastifyRequest): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: Sessions
  }
}

/** Characters; the column's limit. */
const USER_AGENT_LENGTH = 512

export default fp<{ config: Config }>(async function sessions (fastify, { config }) {
  const { accessTokens, sessionCache } = fastify
  const { codec, lead, rules } = rotationOf(config)
  const logQuietly = createQuietLog()

  function unknown (request: FastifyRequest, reason: 'forged' | 'revoked'): ApiError {
    logQuietly(request, 'authn_token_rejected', clientNetwork(request), { reason, route: request.routeOptions.url })
    return new ApiError('REFRESH_TOKEN_UNKNOWN')
  }

  /** @throws ApiError REFRESH_TOKEN_UNKNOWN */
  function decode (refreshToken: string, request: FastifyRequest) {
    const presented = codec.decode(refreshToken)
    if (!presented) throw unknown(request, 'forged')
    return presented
  }

  /** Ends sessions of the caller. @returns the rows of `ending` */
  async function endOwn<Row> (ending: Statement<Row>, { caller, db }: FastifyRequest): Promise<Row[]> {
    const ended = await db.transaction(async transaction => {
      await fastify.recheck(transaction, caller, 'signed-in')
      return await transaction.query(ending)
    })
    sessionCache.invalidate(caller.userId)
    return ended
  }

  fastify.decorate('sessions', {
    async open (verified, amr, request, on = request.db) {
      const { userId } = verified
      const sessionId = newId()
      const [session] = await on.query(insertSession(verified, {
        sessionId,
        amr,
        ttl: config.REFRESH_TOKEN_TTL,
        ip: clientAddress(request),
        network: clientNetwork(request),
        userAgent: request.headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null,
        maxSessions: config.MAX_SESSIONS_PER_USER
      }))
      return session && {
        tokens: {
          accessToken: accessTokens.issue({ userId, sessionId, ...session }),
          refreshToken: codec.encode({ userId, sessionId, generation: 0 })
        },
        roles: session.roles
      }
    },

    async refresh (refreshToken, request, audience) {
      const presented = decode(refreshToken, request)
      const { userId, sessionId } = presented
      const [session] = await request.db.query(rotateSession(presented, rules))
      if (session) {
        logSecurityEvent(request, 'authn_token_created', { userId, sessionId })
        return {
          accessToken: accessTokens.issue({ userId, sessionId, ...session }, audience),
          refreshToken: codec.encode({ userId, sessionId, generation: session.generation + lead }, presented.key)
        }
      }
      const [ended] = await request.db.query(endRejectedSession(presented, rules))
      if (ended && !ended.expired) {
        sessionCache.invalidate(userId)
        logSecurityEvent(request, 'authn_token_reuse', { userId, sessionId })
      }
      // The row of an expired session may have been purged.
      const isExpired = beginOf(sessionId) + config.REFRESH_TOKEN_TTL * 1000 < Date.now()
      if (ended?.expired || isExpired) throw new ApiError('REFRESH_TOKEN_EXPIRED')
      throw ended ? new ApiError('REFRESH_TOKEN_UNKNOWN') : unknown(request, 'revoked')
    },

    idOf: refreshToken => codec.decode(refreshToken)?.sessionId,

    async signOut (refreshToken, request) {
      const { userId, sessionId } = decode(refreshToken, request)
      const [ended] = await request.db.query(endSession(userId, sessionId))
      sessionCache.invalidate(userId)
      if (ended) logSecurityEvent(request, 'authn_token_revoked', { userId, sessionId })
    },

    async end (sessionId, request) {
      const { userId } = request.caller
      const [ended] = await endOwn(endSession(userId, sessionId), request)
      if (ended) logSecurityEvent(request, 'authn_token_revoked', { userId, sessionId })
      return ended !== undefined
    },

    async endAll (request) {
      const { userId } = request.caller
      const { length } = await endOwn(endSessions(userId), request)
      logSecurityEvent(request, 'authn_token_revoked', { userId, sessions: length })
    }
  })
}, { name: 'sessions', fastify: '5.x', dependencies: ['deadline', 'guard', 'jwt', 'session-cache'] })
