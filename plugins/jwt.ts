import jwt from '@fastify/jwt'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { createVerifier } from 'fast-jwt'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { type Role, roles } from '../src/access.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { readKeys } from '../src/key-file.ts'
import { type KeyRing, ringOfKeys, ringOfSecrets, secretVerifier } from '../src/key-ring.ts'

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
  /** The public halves of the keys in force, as /.well-known/jwks.json shows them; none with JWT_SECRET. */
  publicJwks (): KeyRing['publicJwks']
  /** Reads JWT_KEYS again. A file that is not right is refused with a line of the log, and the keys stay. */
  reload (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    accessTokens: AccessTokens
  }
}

/** Most access tokens whose verification is remembered: about 1 KiB each. */
const REMEMBERED = 20_000

/** How far another machine's clock may be ahead of ours, in seconds. */
const SKEW = 60

export default fp<{ config: Config }>(async function accessTokens (fastify, { config }) {
  const { JWT_ISSUER: iss, JWT_AUDIENCE: aud, ACCESS_TOKEN_TTL: ttl, JWT_KEYS: file } = config
  const rules = { checkTyp: 'at+jwt', allowedIss: iss, allowedAud: aud, requiredClaims: ['iss', 'aud', 'exp', 'iat'] }
  // One algorithm: with the same secret HS384 and HS512 would verify as well (RFC 8725 §3.1).
  const hs256 = { ...rules, algorithms: ['HS256' as const] }
  const accepted = config.JWT_SECRET_ACCEPTED.map(key => secretVerifier(createVerifier({ ...hs256, key })))
  const claims = TypeCompiler.Compile(Claims)
  // Tokens that were good, whole: fast-jwt's own cache hashes a token with SHA-256 before it looks it up.
  const verified = new LRUCache<string, AccessClaims>({ max: REMEMBERED })
  let ring = file === undefined ? await openSecrets() : openKeys(file)

  async function openSecrets (): Promise<KeyRing> {
    await fastify.register(jwt, {
      secret: config.JWT_SECRET,
      sign: { algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt' } },
      verify: hs256
    })
    // The synchronous verifier: request.jwtVerify() runs a chain of callbacks per request, and lets some malformed
    // tokens end as a 500.
    const current = secretVerifier(token => fastify.jwt.verify(token))
    return ringOfSecrets(payload => fastify.jwt.sign(payload), [current, ...accepted])
  }

  function openKeys (file: string): KeyRing {
    const keys = readKeys(file)
    fastify.log.info({ kids: keys.map(({ kid }) => kid) }, `read the keys of ${file}: the first signs`)
    return ringOfKeys(keys, accepted, rules)
  }

  fastify.decorate('accessTokens', {
    issue (user, sessionId, notAfter) {
      const iat = Math.floor(Date.now() / 1000)
      const exp = Math.min(iat + ttl, Math.floor(notAfter.getTime() / 1000))
      return ring.sign({ sub: String(user.id), id: user.id, sid: sessionId, roles: user.roles, iat, exp, iss, aud })
    },

    verify (token) {
      const known = verified.get(token)
      if (known !== undefined) {
        if (known.exp * 1000 > Date.now()) return known
        throw new ApiError('ACCESS_TOKEN_EXPIRED')
      }
      const payload = verifySignature(token)
      if (!claims.Check(payload) || payload.sub !== String(payload.id) || payload.iat > Date.now() / 1000 + SKEW) {
        throw new ApiError('ACCESS_TOKEN_INVALID')
      }
      verified.set(token, payload)
      return payload
    },

    publicJwks: () => ring.publicJwks,

    reload () {
      if (file === undefined) return
      try {
        ring = openKeys(file)
        // A token of a key that is gone must not live on in here.
        verified.clear()
      } catch (error) {
        fastify.log.error(`JWT_KEYS was read again and refused, the keys stay as they are. ${Object(error).message}`)
      }
    }
  })

  function verifySignature (token: string): unknown {
    for (const { signature, verify } of ring.verifiers(kidOf(token))) {
      if (!signature.test(token)) continue
      try {
        return verify(token)
      } catch (error) {
        // Only a token with a good signature gets as far as its time.
        if (isExpiry(error)) throw new ApiError('ACCESS_TOKEN_EXPIRED')
      }
    }
    throw new ApiError('ACCESS_TOKEN_INVALID')
  }
}, { name: 'jwt', fastify: '5.x' })

/** The key that a token names, undefined where it names none or has no header. Nothing is verified here. */
function kidOf (token: string): unknown {
  try {
    return Object(JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString())).kid
  } catch {
    return undefined
  }
}

const isExpiry = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'FAST_JWT_EXPIRED'
