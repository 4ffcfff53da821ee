import type { FastifyRequest, HookHandlerDoneFunction, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { type Access, isAccess, policies, refusal } from '../src/access.ts'
import type { Grant } from '../src/authority-cache.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/security-events.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may enter. Every route declares it: one that does not stops the boot. */
    access: Access
  }
  interface FastifyRequest {
    /** Who calls a guarded route, by which session and with which roles now. @throws on a public route, which has none */
    caller: Grant
  }
  interface FastifyInstance {
    /**
     * The caller by a request's access token, for a public route that lets some callers do more.
     * @throws ApiError ACCESS_TOKEN_MISSING, ACCESS_TOKEN_EXPIRED, ACCESS_TOKEN_INVALID or DATABASE_UNAVAILABLE
     */
    identify (request: FastifyRequest): Promise<Grant>
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
  const { accessTokens, authority } = fastify
  const callers = new WeakMap<FastifyRequest, Grant>()

  fastify.decorate('identify', async request => {
    const claims = accessTokens.verify(tokenOf(request))
    const grant = authority.recall(claims) ?? await authority.lookUp(claims)
    if (!grant) throw new ApiError('ACCESS_TOKEN_INVALID')
    return grant
  })

  fastify.decorateRequest('caller', {
    getter () {
      const caller = callers.get(this)
      if (!caller) throw new Error('a public route has no caller')
      return caller
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

  /** The roles are those the authority knows now, not those of the token: a change acts on the next request. */
  function admit (request: FastifyRequest, access: Access, grant: Grant | undefined, done: HookHandlerDoneFunction): void {
    if (!grant) return done(new ApiError('ACCESS_TOKEN_INVALID'))
    const refused = refusal(access, grant.roles)
    if (refused) {
      logSecurityEvent(request, 'authz_fail', { userId: grant.userId, route: request.routeOptions.url })
      return done(new ApiError(refused))
    }
    callers.set(request, grant)
    done()
  }

  // First of all hooks, before the body is read: a stranger's upload costs nothing. Callbacks rather than a promise:
  // in the steady state nothing is waited for.
  function prepend (route: RouteOptions, access: Access): void {
    route.onRequest = [
      (request, reply, done) => {
        // What a signed-in user gets is for nobody's cache (plugins/no-store.ts); here, so that it costs no hook.
        reply.header('cache-control', 'no-store')
        try {
          const claims = accessTokens.verify(tokenOf(request))
          const grant = authority.recall(claims)
          if (grant) admit(request, access, grant, done)
          else authority.lookUp(claims).then(found => admit(request, access, found, done), done)
        } catch (error) {
          done(error as Error)
        }
      },
      ...[route.onRequest ?? []].flat()
    ]
  }
}, { name: 'guard', fastify: '5.x', dependencies: ['authority', 'cors', 'jwt', 'replies'] })
