import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose'
import { type Access, denial, type Role, roles } from '../access.ts'
import { ApiError, type ErrorCode, errorDefinition } from '../errors.ts'
import { algorithms } from '../tokens/signing-keys.ts'
import { errorMessage, property } from '../unknown.ts'

/** Milliseconds to wait for the key set, and between two requests for it because of unknown keys. */
const TIMES = { timeoutDuration: 3000, cooldownDuration: 5000 }

export interface VerifierOptions {
  /** the URL of gatehouse, such as `https://auth.example.com` */
  gatehouse: string | URL
  /** the name of this server, one of gatehouse's JWT_AUDIENCES */
  audience: string
  /** gatehouse's JWT_ISSUER, by default `gatehouse` */
  issuer?: string | undefined
  /** seconds for which the keys are cached, by default 300 */
  maxAge?: number | undefined
}

/** The claims of an access token. The roles are those that the user had when it was issued. */
export interface AccessClaims extends JWTPayload {
  /** the user's id */
  id: number
  roles: Role[]
}

export interface TokenVerifier {
  /**
   * Returns the claims of a token if it is valid for this server and its user has the required role.
   * @throws ApiError that `responseOf` turns into a response
   */
  verify (token: string, access?: Exclude<Access, 'public'>): Promise<AccessClaims>
  /** Fetches the keys, so that a wrong configuration is found at the start. @throws Error that says what is wrong */
  loadKeys (): Promise<void>
}

/** Verifies gatehouse's access tokens with its published keys. It does not see that a token was revoked. */
export function createVerifier (options: VerifierOptions): TokenVerifier {
  const { gatehouse, audience, issuer = 'gatehouse', maxAge = 300 } = options
  // Without one, jose would accept the tokens for every server.
  if (!audience) throw new Error('The verifier requires an audience: the name of this server in JWT_AUDIENCES.')
  const url = new URL('.well-known/jwks.json', String(gatehouse).replace(/\/?$/, '/'))
  const remote = createRemoteJWKSet(url, { ...TIMES, cacheMaxAge: maxAge * 1000 })
  const rules = {
    issuer, audience, algorithms: [...algorithms], typ: 'at+jwt', requiredClaims: ['exp', 'iat', 'sub', 'id', 'roles']
  }

  const findKey: JWTVerifyGetKey = async (header, token) => {
    // gatehouse names the key in every token. jose would try whichever key fits.
    if (header.kid === undefined) throw new ApiError('ACCESS_TOKEN_INVALID')
    try {
      return await remote(header, token)
    } catch (cause) {
      // Without any key, nothing is known about the token: gatehouse runs without JWT_KEYS_FILE.
      const isUnknown = cause instanceof errors.JWKSNoMatchingKey && remote.jwks()?.keys.length !== 0
      throw isUnknown ? cause : new ApiError('KEYS_UNAVAILABLE', undefined, { cause })
    }
  }

  return {
    async verify (token, access = 'signed-in') {
      const claims = toClaims(await jwtVerify(token, findKey, rules).then(({ payload }) => payload, toApiError))
      const denied = denial(access, claims.roles)
      if (denied) throw new ApiError(denied)
      return claims
    },

    async loadKeys () {
      await remote.reload().catch((cause: unknown) => {
        const reason = errorMessage(property(cause, 'cause') ?? cause)
        throw new Error(`The keys of gatehouse could not be fetched from ${url.href}: ${reason}`, { cause })
      })
      if (remote.jwks()?.keys.length === 0) {
        throw new Error(`gatehouse publishes no key at ${url.href}. Start it with JWT_KEYS_FILE.`)
      }
    }
  }
}

function toApiError (cause: unknown): never {
  if (cause instanceof ApiError) throw cause
  const code = cause instanceof errors.JWTExpired ? 'ACCESS_TOKEN_EXPIRED' : 'ACCESS_TOKEN_INVALID'
  throw new ApiError(code, undefined, { cause })
}

function toClaims (payload: JWTPayload): AccessClaims {
  const { id, roles: held } = payload
  if (typeof id !== 'number' || !Array.isArray(held)) throw new ApiError('ACCESS_TOKEN_INVALID')
  // A role of a later version of gatehouse grants nothing here.
  const known: unknown[] = held
  return { ...payload, id, roles: roles.filter(role => known.includes(role)) }
}

export interface ErrorResponse {
  status: number
  headers: Record<string, string>
  body: { message: string, code: ErrorCode }
}

/** The response to an error that a verifier threw. Any other error is an internal one. */
export function responseOf (error: unknown): ErrorResponse {
  const { code, message } = error instanceof ApiError ? error : new ApiError('INTERNAL')
  const { status, headers = {} } = errorDefinition(code)
  return { status, headers, body: { message, code } }
}
