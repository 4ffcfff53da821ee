import type { FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, isAccess, policies, refusal } from '../src/access.ts'
import { ApiError } from '../src/errors.ts'
import type { AccessClaims } from './jwt.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may enter. Every route declares it: one that does not stops the boot. */
    access: Access
  }
  interface FastifyRequest {
    /** The claims of a guarded route's caller. @throws on a public route, which has none */
    caller: AccessClaims
  }
  interface FastifyInstance {
    /**
     * The claims of a request's access token, for a public route that lets some callers do more.
     * @throws ApiError ACCESS_TOKEN_MISSING, ACCESS_TOKEN_EXPIRED or ACCESS_TOKEN_INVALID
     */
    identify (request: FastifyRequest): AccessClaims
  }
}

/** The access token of a request, from either header; two that differ are no good token (RFC 6750 §2). */
function tokenOf (request: FastifyRequest): string {
  const raw = request.headers['x-access-token']
  const bearer = /^bearer +(.*)$/i.exec(request.headers.authorization ?? '')?.[1]?.trim()
  const token = raw || bearer
  if (!token) throw new ApiError('ACCESS_TOKEN_MISSING')
  if (typeof token !== 'string' || (bearer && bearer !== token)) throw new ApiError('ACCESS_TOKEN_INVALID')
  return token
}

/**
 * Enforces what routes declare. Deny by default: a route says `config: { access: … }` or the service does not boot;
 * guarding by a folder or by the URL's text would leave open what is forgotten or misspelt.
 */
export default fp(async function guard (fastify) {
  const callers = new WeakMap<FastifyRequest, AccessClaims>()

  fastify.decorate('identify', request => fastify.accessTokens.verify(tokenOf(request)))

  fastify.decorateRequest('caller', {
    getter () {
      const claims = callers.get(this)
      if (!claims) throw new Error('a public route has no caller')
      return claims
    }
  })

  fastify.addHook('onRoute', route => {
    const access = route.config?.access
    if (!isAccess(access)) {
      throw new Error(`Route ${String(route.method)} ${route.url} declares ` +
        `${access === undefined ? 'no access' : `the unknown access "${String(access)}"`}. ` +
        `Give it config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
    }
    if (access !== 'public') prepend(route, access)
  })

  // First of all hooks, before the body is read: a stranger's upload costs nothing.
  function prepend (route: RouteOptions, access: Access): void {
    route.onRequest = [
      (request, _reply, done) => {
        try {
          const claims = fastify.identify(request)
          const refused = refusal(access, claims.roles)
          if (refused) throw new ApiError(refused)
          callers.set(request, claims)
          done()
        } catch (error) {
          done(error as Error)
        }
      },
      ...[route.onRequest ?? []].flat()
    ]
  }
}, { name: 'guard', fastify: '5.x', dependencies: ['cors', 'jwt', 'replies'] })
