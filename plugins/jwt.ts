import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { createVerifier } from 'fast-jwt'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { mustEnrol } from '../src/factors/policy.ts'
import { type AccessClaims, Claims } from '../src/tokens/access-claims.ts'
import { readKeys } from '../src/tokens/key-file.ts'
import {
  headerOf, type KeyRing, ringOfKeys, ringOfSecrets, secretVerifier, type Verifier
} from '../src/tokens/key-ring.ts'
import type { Session } from '../src/tokens/session-cache.ts'
import { errorCode, errorMessage, property } from '../src/unknown.ts'

export interface AccessTokens {
  /**
   * Issues a token that does not outlive the session. That of a user who must set up a second factor has no roles, and
   * an audience that only gatehouse accepts: other servers would not know that it permits nothing else.
   * @param audience the server that the token is for; gatehouse itself unless given
   */
  issue (session: Session, audience?: string): string
  /** @throws ApiError ACCESS_TOKEN_EXPIRED, or ACCESS_TOKEN_INVALID for any other invalid token */
  verify (token: string): AccessClaims
  /** Verifies a token for gatehouse or any server in JWT_AUDIENCES. @throws as `verify` */
  verifyForAny (token: string): AccessClaims
  /** The public keys in use, for /.well-known/jwks.json; none without JWT_KEYS_FILE. */
  publicJwks (): KeyRing['publicJwks']
  /** Reloads JWT_KEYS_FILE. An invalid file is logged, and the current keys stay in use. */
  reload (): void
}

declare module 'fastify' {
  interface FastifyInstance {
    accessTokens: AccessTokens
  }
}

/** Maximum number of verified tokens in the cache, about 1 KiB each. */
const CACHE_SIZE = 20_000

/** Seconds by which the clock of another replica may be ahead. */
const LEEWAY = 60

export default fp<{ config: Config }>(async function accessTokens (fastify, { config }) {
  const { JWT_ISSUER: iss, JWT_AUDIENCE: aud, ACCESS_TOKEN_TTL: ttl, JWT_KEYS_FILE: file } = config
  const enrolment = `${aud}#second-factor-enrolment`
  const own = [aud, enrolment]
  const allowedAud = [...own, ...config.JWT_AUDIENCES]
  const rules = { checkTyp: 'at+jwt', allowedIss: iss, allowedAud, requiredClaims: ['iss', 'aud', 'exp', 'iat'] }
  // A single algorithm: tokens with HS384 or HS512 and the same secret would verify too (RFC 8725 §3.1).
  const hs256 = { ...rules, algorithms: ['HS256' as const] }
  const accepted = config.JWT_SECRET_ACCEPTED.map(key => {
    const verify: Verifier['verify'] = createVerifier({ ...hs256, key })
    return secretVerifier(verify)
  })
  const claims = TypeCompiler.Compile(Claims)
  // Keyed by the whole token. fast-jwt's own cache computes a SHA-256 of the token for each call.
  const verified = new LRUCache<string, AccessClaims>({ max: CACHE_SIZE })
  let ring = file === undefined ? await openSecrets() : openKeys(file)

  async function openSecrets (): Promise<KeyRing> {
    await fastify.register(jwt, {
      secret: config.JWT_SECRET,
      sign: { algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt' } },
      verify: hs256
    })
    // Not request.jwtVerify(), which runs a chain of callbacks per request and responds with 500 to some malformed
    // tokens.
    const current = secretVerifier(token => fastify.jwt.verify(token))
    return ringOfSecrets(payload => fastify.jwt.sign(payload), [current, ...accepted])
  }

  function openKeys (file: string): KeyRing {
    const keys = readKeys(file)
    fastify.log.info({ kids: keys.map(({ kid }) => kid) }, `loaded the keys of ${file}; the first one signs`)
    return ringOfKeys(keys, accepted, rules)
  }

  fastify.decorate('accessTokens', {
    issue (session, audience = aud) {
      const { userId, sessionId, expiresAt, authenticatedAt, amr } = session
      const isLimited = mustEnrol(session, config.SECOND_FACTOR)
      const roles = isLimited ? [] : session.roles
      const iat = toSeconds(Date.now())
      const exp = Math.min(iat + ttl, toSeconds(expiresAt.getTime()))
      // Without a unique id, two refreshes within a second would give the same token.
      const unique = { jti: randomUUID(), iat, exp, iss, aud: isLimited ? enrolment : audience }
      const authentication = { auth_time: toSeconds(authenticatedAt.getTime()), amr }
      return ring.sign({ sub: String(userId), id: userId, sid: sessionId, roles, ...authentication, ...unique })
    },

    verify (token) {
      const payload = verifyForAny(token)
      if (payload.aud !== aud && ![payload.aud].flat().some(name => own.includes(name))) throw new ApiError('ACCESS_TOKEN_INVALID')
      return payload
    },

    verifyForAny,

    publicJwks: () => ring.publicJwks,

    reload () {
      if (file === undefined) return
      try {
        ring = openKeys(file)
        // The cache may hold tokens of keys that were removed.
        verified.clear()
      } catch (error) {
        fastify.log.error(`JWT_KEYS_FILE was not reloaded, the current keys stay in use. ${errorMessage(error)}`)
      }
    }
  })

  function verifyForAny (token: string): AccessClaims {
    const cached = verified.get(token)
    if (cached !== undefined) {
      const now = Date.now() / 1000
      if (cached.exp <= now) throw new ApiError('ACCESS_TOKEN_EXPIRED')
      // The clock was set back.
      if (cached.iat > now + LEEWAY) throw new ApiError('ACCESS_TOKEN_INVALID')
      return cached
    }
    const payload = verifySignature(token)
    if (!claims.Check(payload) || payload.sub !== String(payload.id) || payload.iat > Date.now() / 1000 + LEEWAY) {
      throw new ApiError('ACCESS_TOKEN_INVALID')
    }
    verified.set(token, payload)
    return payload
  }

  function verifySignature (token: string): unknown {
    const header = headerOf(token)
    // No extension is understood, and one that a signer calls critical must be (RFC 7515 §4.1.11).
    if (property(header, 'crit') !== undefined) throw new ApiError('ACCESS_TOKEN_INVALID')
    for (const { signature, verify } of ring.verifiers(property(header, 'kid'))) {
      if (!signature.test(token)) continue
      try {
        return verify(token)
      } catch (error) {
        // fast-jwt checks the time after the signature, so an expired token is a genuine one.
        if (errorCode(error) === 'FAST_JWT_EXPIRED') throw new ApiError('ACCESS_TOKEN_EXPIRED')
      }
    }
    throw new ApiError('ACCESS_TOKEN_INVALID')
  }
}, { name: 'jwt', fastify: '5.x' })

const toSeconds = (milliseconds: number): number => Math.floor(milliseconds / 1000)
