import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import fp from 'fastify-plugin'

/** How long an answer is waited for, and how soon after one the next may be asked for, in milliseconds. */
const PATIENCE = { timeoutDuration: 3000, cooldownDuration: 5000 }

/** What jose throws when the keys could not be had, which is no fault of the token. */
const NO_KEYS = ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC']

const refusal = (statusCode, message) => Object.assign(new Error(message), {
  statusCode,
  // RFC 6750 §3.
  headers: statusCode === 401 ? { 'www-authenticate': 'Bearer' } : {}
})

/**
 * Lets requests in by gatehouse's access tokens. Every route says who may enter, or the service does not start:
 * `config: { roles: 'public' }` everybody, `[]` anybody signed in, `['moderator', 'admin']` who has one of them.
 * `request.caller` is then `{ id, roles, … }`, the claims of the token.
 */
export default fp(async function guard (fastify, { gatehouse, issuer = 'gatehouse', audience = 'gatehouse', maxAge = 300 }) {
  // Fetched at the first token, again after maxAge seconds, and when a token names a key that is not known.
  const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', gatehouse), { ...PATIENCE, cacheMaxAge: maxAge * 1000 })
  // Named, so that no secret of HS256 and no algorithm of tomorrow is taken by surprise.
  const rules = { issuer, audience, typ: 'at+jwt', algorithms: ['EdDSA', 'ES256', 'RS256'], requiredClaims: ['exp', 'id', 'roles'] }

  async function verify (token) {
    try {
      return (await jwtVerify(token, keys, rules)).payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw refusal(401, 'The access token has expired.')
      if (error instanceof errors.JOSEError && !NO_KEYS.includes(error.code)) throw refusal(401, 'The access token is not good.')
      fastify.log.error({ err: error }, 'no keys from gatehouse')
      throw refusal(503, 'Access tokens cannot be checked now. Please try again.')
    }
  }

  fastify.decorateRequest('caller', null)
  fastify.addHook('onRoute', route => {
    const roles = route.config?.roles
    if (roles === 'public') return
    if (!Array.isArray(roles)) throw new Error(`${route.method} ${route.url} does not say who may enter: give it config: { roles }`)
    route.onRequest = [async (request, reply) => {
      const [, token] = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
      reply.header('cache-control', 'no-store')
      if (!token) throw refusal(401, 'Send an access token: authorization: Bearer …')
      const caller = await verify(token)
      if (roles.length > 0 && !roles.some(role => caller.roles.includes(role))) throw refusal(403, `This takes the role ${roles.join(' or ')}.`)
      request.caller = caller
    }, ...[route.onRequest ?? []].flat()]
  })
}, { name: 'guard', fastify: '5.x' })
