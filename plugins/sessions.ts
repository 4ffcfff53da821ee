import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { v7 as uuidv7 } from 'uuid'
import { endRefusedSession, insertSession, rotateSession, type RotationRules } from '../sql/refresh-tokens.ts'
import type { Role } from '../src/access.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { RefreshTokenCodec } from '../src/refresh-token.ts'

export interface Tokens {
  accessToken: string
  refreshToken: string
}

export interface Sessions {
  /** Signs a user in: a new session and its first tokens. */
  open (user: { id: number, roles: readonly Role[] }, request: FastifyRequest): Promise<Tokens>
  /**
   * New tokens for a refresh token, by the rules of REFRESH_ROTATION.
   * @throws ApiError REFRESH_TOKEN_UNKNOWN or REFRESH_TOKEN_EXPIRED
   */
  refresh (refreshToken: string, request: FastifyRequest): Promise<Tokens>
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
  const { db, accessTokens } = fastify
  const codec = new RefreshTokenCodec(config.JWT_SECRET)
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
        ip: request.ip,
        userAgent: request.headers['user-agent']?.slice(0, USER_AGENT_LENGTH) ?? null
      }))
      // The account was deleted since its password was read.
      if (!session) throw new ApiError('USER_NOT_FOUND')
      return {
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
          refreshToken: codec.encode({ userId, sessionId, generation: session.generation + lead })
        }
      }
      const [ended] = await db.query(endRefusedSession(shown, rules))
      if (ended?.expired) throw new ApiError('REFRESH_TOKEN_EXPIRED')
      if (ended) {
        request.log.warn({ event: 'authn_token_reuse', userId, sessionId, ip: request.ip },
          'a superseded refresh token was shown: session ended')
      }
      throw new ApiError('REFRESH_TOKEN_UNKNOWN')
    }
  })
}, { name: 'sessions', fastify: '5.x', dependencies: ['db', 'jwt'] })
