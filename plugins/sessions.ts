import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { v7 as uuidv7 } from 'uuid'
import {
  endRefusedSession, endSession, endSessions, insertSession, rotateSession, type RotationRules
} from '../sql/refresh-tokens.ts'
import type { Role } from '../src/access.ts'
import { clientAddress } from '../src/client-address.ts'
import { type Config, refreshSecrets } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { RefreshTokenCodec } from '../src/refresh-token.ts'
import { logSecurityEvent } from '../src/security-events.ts'

export interface Tokens {
  accessToken: string
  refreshToken: string
}

export interface Sessions {
  /**
   * Signs a user in: a new session and its first tokens.
   * @param user with the hash that the password was verified with
   * @returns undefined where the account has changed since: deleted, disabled, another password
   */
  open (user: { id: number, roles: readonly Role[], passwordHash: string }, request: FastifyRequest): Promise<Tokens | undefined>
  /**
   * New tokens for a refresh token, by the rules of REFRESH_ROTATION.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN or REFRESH_TOKEN_EXPIRED
   */
  refresh (refreshToken: string, request: FastifyRequest): Promise<Tokens>
  /** The id of a genuine refresh token's session, which may be over. */
  idOf (refreshToken: string): string | undefined
  /**
   * Ends the session of a refresh token, whichever of the session's tokens it is; one that is over stays over.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN for a token that is not genuine
   */
  signOut (refreshToken: string, request: FastifyRequest): Promise<void>
  /** Ends one session of a user. @returns whether there was one */
  end (userId: number, sessionId: string, request: FastifyRequest): Promise<boolean>
  /** Ends every session of a user. @returns how many */
  endAll (userId: number, request: FastifyRequest): Promise<number>
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: Sessions
  }
}

/**
 * `step`: which generation showing a token uses up, none above itself or the next one. `lead`: how far above the
 * row's generation the token lies that the client is given.
 */
const ROTATIONS = {
  lenient: { step: 0, lead: 1 },
  strict: { step: 1, lead: 0 },
  off: { step: 0, lead: 0 }
} as const

const USER_AGENT_LENGTH = 512

export default fp<{ config: Config }>(async function sessions (fastify, { config }) {
  const { db, accessTokens, authority } = fastify
  const codec = new RefreshTokenCodec(...refreshSecrets(config))
  const { step, lead } = ROTATIONS[config.REFRESH_ROTATION]
  const rules: RotationRules = { step, grace: config.REFRESH_GRACE, idle: config.REFRESH_IDLE_TTL }

  fastify.decorate('sessions', {
    async open (user, request) {
      // Version 7 begins with the time, so that new keys lie together in the index (RFC 9562 §5.7).
      const sessionId = uuidv7()
      const [session] = await db.query(insertSession({
        userId: user.id,
        sessionId,
        ttl: config.REFRESH_TOKEN_TTL,
        ip: clientAddress(request),
        userAgent: request.headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null,
        passwordHash: user.passwordHash,
        most: config.MAX_SESSIONS_PER_USER
      }))
      return session && {
        accessToken: accessTokens.issue(user, sessionId, session.expiresAt),
        refreshToken: codec.encode({ userId: user.id, sessionId, generation: 0 })
      }
    },

    async refresh (refreshToken, request) {
      const shown = codec.decode(refreshToken)
      if (!shown) throw new ApiError('REFRESH_TOKEN_UNKNOWN')
      const { userId, sessionId } = shown
      const [session] = await db.query(rotateSession(shown, rules))
      if (session) {
        return {
          accessToken: accessTokens.issue({ id: userId, roles: session.roles }, sessionId, session.expiresAt),
          refreshToken: codec.encode({ userId, sessionId, generation: session.generation + lead }, shown.key)
        }
      }
      const [ended] = await db.query(endRefusedSession(shown, rules))
      if (ended && !ended.expired) {
        authority.forget(userId)
        logSecurityEvent(request, 'authn_token_reuse', { userId, sessionId })
      }
      throw new ApiError(ended?.expired || isOver(sessionId) ? 'REFRESH_TOKEN_EXPIRED' : 'REFRESH_TOKEN_UNKNOWN')
    },

    idOf: refreshToken => codec.decode(refreshToken)?.sessionId,

    async signOut (refreshToken, request) {
      const shown = codec.decode(refreshToken)
      if (!shown) throw new ApiError('REFRESH_TOKEN_UNKNOWN')
      await end(shown.userId, shown.sessionId, request)
    },

    end,

    async endAll (userId, request) {
      const { length } = await db.query(endSessions(userId))
      authority.forget(userId)
      logSecurityEvent(request, 'authn_token_revoked', { userId, sessions: length })
      return length
    }
  })

  async function end (userId: number, sessionId: string, request: FastifyRequest): Promise<boolean> {
    const [ended] = await db.query(endSession(userId, sessionId))
    authority.forget(userId)
    if (ended) logSecurityEvent(request, 'authn_token_revoked', { userId, sessionId })
    return ended !== undefined
  }

  /** Whether a session's time is over, also when its row was purged: its id begins with its first millisecond. */
  const isOver = (sessionId: string): boolean =>
    parseInt(sessionId.replace('-', '').slice(0, 12), 16) + config.REFRESH_TOKEN_TTL * 1000 < Date.now()
}, { name: 'sessions', fastify: '5.x', dependencies: ['authority', 'db', 'jwt'] })
