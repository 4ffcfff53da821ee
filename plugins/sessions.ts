import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { v7 as uuidv7 } from 'uuid'
import { endRejectedSession, rotateSession, type RotationRules } from '../sql/rotation.ts'
import { endSession, endSessions, insertSession } from '../sql/sessions.ts'
import type { Role } from '../src/access.ts'
import { clientAddress } from '../src/api/client-address.ts'
import { type Config, refreshSecrets } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import { RefreshTokenCodec } from '../src/tokens/refresh-token.ts'

export interface Tokens {
  accessToken: string
  refreshToken: string
}

interface VerifiedUser {
  id: number
  roles: readonly Role[]
  /** the hash that the password was verified with */
  passwordHash: string
}

export interface Sessions {
  /**
   * Opens a session for a user whose password was verified.
   * @returns undefined if the user was deleted or disabled, or the password changed, since
   */
  open (user: VerifiedUser, request: FastifyRequest): Promise<Tokens | undefined>
  /**
   * Exchanges a refresh token for new tokens, as REFRESH_ROTATION says.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN or REFRESH_TOKEN_EXPIRED
   */
  refresh (refreshToken: string, request: FastifyRequest): Promise<Tokens>
  /** The session id of a genuine refresh token. The session may have ended. */
  idOf (refreshToken: string): string | undefined
  /**
   * Ends the session of a refresh token. Any token of the session will do.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN for a token that is not genuine
   */
  signOut (refreshToken: string, request: FastifyRequest): Promise<void>
  /** Ends one session of a user. @returns whether it existed */
  end (userId: number, sessionId: string, request: FastifyRequest): Promise<boolean>
  /** Ends every session of a user. @returns the number of sessions */
  endAll (userId: number, request: FastifyRequest): Promise<number>
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: Sessions
  }
}

/**
 * `step`: 1 if presenting a token supersedes it, 0 if presenting its successor does. `lead`: the generation of the
 * issued token, relative to the row's.
 */
const ROTATIONS = {
  lenient: { step: 0, lead: 1 },
  strict: { step: 1, lead: 0 },
  off: { step: 0, lead: 0 }
} as const

/** Characters; the column's limit. */
const USER_AGENT_LENGTH = 512

export default fp<{ config: Config }>(async function sessions (fastify, { config }) {
  const { accessTokens, db, sessionCache } = fastify
  const codec = new RefreshTokenCodec(...refreshSecrets(config))
  const { step, lead } = ROTATIONS[config.REFRESH_ROTATION]
  const rules: RotationRules = { step, grace: config.REFRESH_GRACE, idle: config.REFRESH_IDLE_TTL }

  /** @throws ApiError REFRESH_TOKEN_UNKNOWN */
  function decode (refreshToken: string) {
    const presented = codec.decode(refreshToken)
    if (!presented) throw new ApiError('REFRESH_TOKEN_UNKNOWN')
    return presented
  }

  async function end (userId: number, sessionId: string, request: FastifyRequest): Promise<boolean> {
    const [ended] = await db.query(endSession(userId, sessionId))
    sessionCache.invalidate(userId)
    if (ended) logSecurityEvent(request, 'authn_token_revoked', { userId, sessionId })
    return ended !== undefined
  }

  /** Whether a session has expired, even if its row was purged: its id begins with the time of its sign-in. */
  const isExpired = (sessionId: string): boolean =>
    parseInt(sessionId.replace('-', '').slice(0, 12), 16) + config.REFRESH_TOKEN_TTL * 1000 < Date.now()

  fastify.decorate('sessions', {
    async open (user, request) {
      // Version 7 begins with the time, so that new keys are adjacent in the index (RFC 9562 §5.7).
      const sessionId = uuidv7()
      const [session] = await db.query(insertSession({
        userId: user.id,
        sessionId,
        ttl: config.REFRESH_TOKEN_TTL,
        ip: clientAddress(request),
        userAgent: request.headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null,
        passwordHash: user.passwordHash,
        maxSessions: config.MAX_SESSIONS_PER_USER
      }))
      return session && {
        accessToken: accessTokens.issue(user, sessionId, session.expiresAt),
        refreshToken: codec.encode({ userId: user.id, sessionId, generation: 0 })
      }
    },

    async refresh (refreshToken, request) {
      const presented = decode(refreshToken)
      const { userId, sessionId } = presented
      const [session] = await db.query(rotateSession(presented, rules))
      if (session) {
        return {
          accessToken: accessTokens.issue({ id: userId, roles: session.roles }, sessionId, session.expiresAt),
          refreshToken: codec.encode({ userId, sessionId, generation: session.generation + lead }, presented.key)
        }
      }
      const [ended] = await db.query(endRejectedSession(presented, rules))
      if (ended && !ended.expired) {
        sessionCache.invalidate(userId)
        logSecurityEvent(request, 'authn_token_reuse', { userId, sessionId })
      }
      throw new ApiError(ended?.expired || isExpired(sessionId) ? 'REFRESH_TOKEN_EXPIRED' : 'REFRESH_TOKEN_UNKNOWN')
    },

    idOf: refreshToken => codec.decode(refreshToken)?.sessionId,

    async signOut (refreshToken, request) {
      const { userId, sessionId } = decode(refreshToken)
      await end(userId, sessionId, request)
    },

    end,

    async endAll (userId, request) {
      const { length } = await db.query(endSessions(userId))
      sessionCache.invalidate(userId)
      logSecurityEvent(request, 'authn_token_revoked', { userId, sessions: length })
      return length
    }
  })
}, { name: 'sessions', fastify: '5.x', dependencies: ['db', 'jwt', 'session-cache'] })
