import type { RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, isAccess, policies } from '../access.ts'
import { accessTokenOf } from '../api/access-token.ts'
import { type AccessClaims, createVerifier, responseOf, type VerifierOptions } from './verifier.ts'

export { accessTokenOf, createVerifier, responseOf }
export type { Access, Role } from '../access.ts'
export type { AccessClaims, ErrorResponse, TokenVerifier, VerifierOptions } from './verifier.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The access policy of the route. A route without one prevents the start. */
    access: Access
  }
  interface FastifyRequest {
    /** The claims of the access token. @throws Error on a public route */
    claims: AccessClaims
  }
}

/** @throws Error that prevents the start or, for a route that was registered before the plugin, the response */
function accessOf (config: RouteOptions['config'], route: string): Access {
  if (isAccess(config?.access)) return config.access
  throw new Error(`Route ${route} declares no valid access. ` +
    `Add config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
}

/**
 * The guard of another server: enforces the access that its routes declare as `config.access`, by gatehouse's access
 * tokens. Denies by default.
 */
export default fp<VerifierOptions>(async function verify (fastify, options) {
  const verifier = createVerifier(options)
  const verified = new WeakMap<object, AccessClaims>()

  // The server starts anyway: gatehouse may become available later.
  fastify.addHook('onReady', async () => {
    await verifier.loadKeys().catch((error: unknown) => { fastify.log.warn(error) })
  })

  fastify.decorateRequest('claims', {
    getter () {
      const claims = verified.get(this)
      if (!claims) throw new Error('a public route has no claims')
      return claims
    }
  })

  fastify.addHook('onRoute', ({ config, method, url }) => { accessOf(config, `${String(method)} ${url}`) })

  // One hook for all routes, since routes that were registered before the plugin do not run onRoute. Before the body is
  // read, so that an unauthenticated upload costs nothing.
  fastify.addHook('onRequest', async (request, reply) => {
    if (request.is404) return
    const { config, url } = request.routeOptions
    const access = accessOf(config, `${request.method} ${String(url)}`)
    if (access === 'public') return
    reply.header('cache-control', 'no-store')
    try {
      verified.set(request, await verifier.verify(accessTokenOf(request), access))
    } catch (error) {
      const { status, headers, body } = responseOf(error)
      if (status >= 500) request.log.error(error)
      return await reply.code(status).headers(headers).send(body)
    }
  })
}, { name: 'gatehouse-verify', fastify: '5.x' })
