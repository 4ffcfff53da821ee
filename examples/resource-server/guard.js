import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import fp from 'fastify-plugin'

/** Milliseconds to wait for the key set, and between two requests for it. */
const TIMES = { timeoutDuration: 3000, cooldownDuration: 5000 }

/** Codes of jose for a key set that could not be fetched, which is not a fault of the token. */
const NO_KEYS = ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']

const httpError = (statusCode, message) => Object.assign(new Error(message), {
  statusCode,
  // RFC 6750 §3.
  headers: statusCode === 401 ? { 'www-authenticate': 'Bearer' } : {}
})

/** What is missing at gatehouse, and how to fix it; undefined if it publishes keys. */
async function findFault (url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMES.timeoutDuration) })
    if (!response.ok) return `${url} responds ${response.status}. Set GATEHOUSE to the URL of gatehouse.`
    const { keys } = await response.json()
    if (!Array.isArray(keys)) return `${url} is not a key set. Set GATEHOUSE to the URL of gatehouse.`
    if (keys.length > 0) return undefined
    return `gatehouse publishes no public key at ${url}. Start it with JWT_KEYS_FILE (docs/keys.md of gatehouse).`
  } catch (error) {
    const reason = error.cause?.code ?? error.cause?.message ?? error.message
    return `gatehouse is not reachable at ${url} (${reason}). Start it, or set GATEHOUSE to its URL.`
  }
}

/**
 * Verifies gatehouse's access tokens. Every route declares who may call it, or the service does not start:
 * `config: { roles: 'public' }` for everybody, `[]` for any signed-in user, `['moderator', 'admin']` for users with one
 * of these roles. `request.caller` has the claims of the token: `{ id, roles, … }`.
 */
export default fp(async function guard (fastify, { gatehouse, issuer = 'gatehouse', audience, maxAge = 300 }) {
  const url = new URL('/.well-known/jwks.json', gatehouse)
  // Fetched for the first token, again after maxAge seconds, and when a token names an unknown key.
  const keys = createRemoteJWKSet(url, { ...TIMES, cacheMaxAge: maxAge * 1000 })
  // A list of algorithms, so that no other one is accepted, such as HS256 with a public key as its secret.
  const rules = { issuer, audience, typ: 'at+jwt', algorithms: ['EdDSA', 'ES256', 'RS256'], requiredClaims: ['exp', 'id', 'roles'] }

  // The service starts anyway: gatehouse may become available later.
  fastify.addHook('onReady', async () => {
    const fault = await findFault(url)
    if (fault) fastify.log.warn(fault)
  })

  async function verify (token) {
    try {
      return (await jwtVerify(token, keys, rules)).payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw httpError(401, 'The access token has expired.')
      if (error instanceof errors.JOSEError && !NO_KEYS.includes(error.code)) throw httpError(401, 'The access token is invalid.')
      fastify.log.error(await findFault(url) ?? `the key set could not be fetched: ${error.message}`)
      throw httpError(503, 'Access tokens cannot be verified now. Please try again.')
    }
  }

  fastify.decorateRequest('caller', null)
  fastify.addHook('onRoute', route => {
    const roles = route.config?.roles
    if (roles === 'public') return
    if (!Array.isArray(roles)) throw new Error(`${route.method} ${route.url} does not declare who may call it. Add config: { roles }.`)
    route.onRequest = [async (request, reply) => {
      const [, token] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
      reply.header('cache-control', 'no-store')
      if (!token) throw httpError(401, 'Send an access token: authorization: Bearer …')
      const caller = await verify(token)
      if (roles.length > 0 && !roles.some(role => caller.roles.includes(role))) throw httpError(403, `Requires the role ${roles.join(' or ')}.`)
      request.caller = caller
    }, ...[route.onRequest ?? []].flat()]
  })
}, { name: 'guard', fastify: '5.x' })
