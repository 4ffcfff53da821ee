import jwt from '@fastify/jwt'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { type Role, roles } from '../src/access.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'

/** The claims of an access token (RFC 9068); `id` is `sub` as the number that existing front-ends read. */
const Claims = Type.Object({
  sub: Type.String({ minLength: 1 }),
  id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  sid: Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }),
  roles: Type.Array(Type.Union(roles.map(role => Type.Literal(role)))),
  iat: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  exp: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
})

export type AccessClaims = Static<typeof Claims>

export interface AccessTokens {
  /** @param notAfter the end of the session, which no token of it outlives */
  issue (user: { id: number, roles: readonly Role[] }, sessionId: string, notAfter: Date): string
  /** @throws ApiError ACCESS_TOKEN_EXPIRED or, for anything else that is not good, ACCESS_TOKEN_INVALID */
  verify (token: string): AccessClaims
}

declare module 'fastify' {
  interface FastifyInstance {
    accessTokens: AccessTokens
  }
}

// 32 bytes in base64url are 43 characters, of which the last has two unused bits. They must be zero: otherwise one
// token has four spellings, and a list keyed by tokens could be walked around.
const CANONICAL_HS256 = /\.[\w-]{42}[AEIMQUYcgkosw048]$/

/** Most access tokens whose verification is remembered: about 1 KiB each. */
const REMEMBERED = 20_000

/** How far another machine's clock may be ahead of ours, in seconds. */
const SKEW = 60

export default fp<{ config: Config }>(async function accessTokens (fastify, { config }) {
  const { JWT_ISSUER: iss, JWT_AUDIENCE: aud, ACCESS_TOKEN_TTL: ttl } = config
  await fastify.register(jwt, {
    secret: config.JWT_SECRET,
    sign: { algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt' } },
    verify: {
      // One algorithm: with the same secret HS384 and HS512 would verify as well (RFC 8725 §3.1).
      algorithms: ['HS256'],
      checkTyp: 'at+jwt',
      allowedIss: iss,
      allowedAud: aud,
      requiredClaims: ['iss', 'aud', 'exp', 'iat']
    }
  })
  const claims = TypeCompiler.Compile(Claims)
  // Tokens that were good, whole: fast-jwt's own cache hashes a token with SHA-256 before it looks it up.
  const verified = new LRUCache<string, AccessClaims>({ max: REMEMBERED })

  fastify.decorate('accessTokens', {
    issue (user, sessionId, notAfter) {
      const iat = Math.floor(Date.now() / 1000)
      const exp = Math.min(iat + ttl, Math.floor(notAfter.getTime() / 1000))
      return fastify.jwt.sign({ sub: String(user.id), id: user.id, sid: sessionId, roles: user.roles, iat, exp, iss, aud })
    },

    verify (token) {
      const known = verified.get(token)
      if (known !== undefined) {
        if (known.exp * 1000 > Date.now()) return known
        throw new ApiError('ACCESS_TOKEN_EXPIRED')
      }
      if (!CANONICAL_HS256.test(token)) throw new ApiError('ACCESS_TOKEN_INVALID')
      let payload: unknown
      try {
        // The synchronous verifier: request.jwtVerify() runs a chain of callbacks per request, and lets some
        // malformed tokens end as a 500.
        payload = fastify.jwt.verify(token)
      } catch (error) {
        throw new ApiError(isExpiry(error) ? 'ACCESS_TOKEN_EXPIRED' : 'ACCESS_TOKEN_INVALID')
      }
      if (!claims.Check(payload) || payload.sub !== String(payload.id) || payload.iat > Date.now() / 1000 + SKEW) {
        throw new ApiError('ACCESS_TOKEN_INVALID')
      }
      verified.set(token, payload)
      return payload
    }
  })
}, { name: 'jwt', fastify: '5.x' })

const isExpiry = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'FAST_JWT_EXPIRED'
