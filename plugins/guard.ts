import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { lockCaller } from '../sql/sessions.ts'
import { lockRoles } from '../sql/users.ts'
import { type Access, denial, isAccess, policies } from '../src/access.ts'
import { clientNetwork } from '../src/api/client-address.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'
import type { SessionEntry } from '../src/tokens/session-cache.ts'
import { property } from '../src/unknown.ts'
import type { AccessClaims } from './jwt.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The access policy of the route. A route without one prevents the start. */
    access: Access
  }
  interface FastifyRequest {
    /** The caller of an authenticated route, with the roles held now. @throws Error on a public route */
    caller: SessionEntry
  }
  interface FastifyInstance {
    /**
     * Identifies the caller by the access token, for a public route that lets some callers do more.
     * @throws ApiError ACCESS_TOKEN_MISSING, ACCESS_TOKEN_EXPIRED, ACCESS_TOKEN_INVALID or DATABASE_UNAVAILABLE
     */
    identify (request: FastifyRequest): Promise<SessionEntry>
    /**
     * Checks again, in the transaction of a change, that the caller's session is alive, and that the user is enabled
     * and has the role. The guard decided before the body arrived and, possibly, before a password was hashed. The rows
     * are locked, so a concurrent change of them waits until the transaction ends.
     * @throws ApiError ACCESS_TOKEN_INVALID, or the denial of `access`
     */
    recheck (transaction: Queryable, caller: SessionEntry, access: Access): Promise<void>
  }
}

/**
 * The access token, from either header. Two that differ are invalid (RFC 6750 §2). Several headers of one name are
 * joined by commas (src/app.ts), which makes their value invalid too.
 */
function tokenOf (request: FastifyRequest): string {
  const raw = request.headers['x-access-token']
  const bearer = /^bearer +(.*)$/i.exec(request.headers.authorization ?? '')?.[1]?.trim()
  const token = raw || bearer
  if (!token) throw new ApiError('ACCESS_TOKEN_MISSING')
  if (typeof token !== 'string' || (bearer && bearer !== token)) throw new ApiError('ACCESS_TOKEN_INVALID')
  return token
}

/**
 * Enforces the access that routes declare as `config.access`. Denies by default: guarding routes by their folder or
 * their URL would leave a forgotten or misspelt one open.
 */
export default fp(async function guard (fastify) {
  const { accessTokens, sessionCache } = fastify
  const callers = new WeakMap<FastifyRequest, SessionEntry>()
  const logQuietly = createQuietLog()

  fastify.decorate('identify', async request => {
    const claims = accessTokens.verify(tokenOf(request))
    const session = sessionCache.get(claims) ?? await sessionCache.load(claims)
    if (!session) throw new ApiError('ACCESS_TOKEN_INVALID')
    return session
  })

  fastify.decorate('recheck', async (transaction, { userId, sessionId }, access) => {
    const [caller] = await transaction.query(lockCaller(userId, sessionId))
    if (!caller) throw new ApiError('ACCESS_TOKEN_INVALID')
    const held = await transaction.query(lockRoles(userId))
    const denied = denial(access, held.map(({ role }) => role))
    if (denied) throw new ApiError(denied)
  })

  fastify.decorateRequest('caller', {
    getter () {
      const caller = callers.get(this)
      if (!caller) throw new Error('a public route has no caller')
      return caller
    }
  })

  function rejected (request: FastifyRequest, reason: 'forged' | 'revoked'): ApiError {
    logQuietly(request, 'authn_token_rejected', clientNetwork(request), { reason, route: request.routeOptions.url })
    return new ApiError('ACCESS_TOKEN_INVALID')
  }

  /** Decides by the roles that the session has now, not by those in the token: changes apply to the next request. */
  function admit (request: FastifyRequest, access: Access, session: SessionEntry | undefined): ApiError | undefined {
    if (!session) return rejected(request, 'revoked')
    const denied = denial(access, session.roles)
    if (!denied) {
      callers.set(request, session)
      return undefined
    }
    logQuietly(request, 'authz_fail', session.userId, { userId: session.userId, route: request.routeOptions.url })
    return new ApiError(denied)
  }

  fastify.addHook('onRoute', route => {
    const access = route.config?.access
    if (!isAccess(access)) {
      throw new Error(`Route ${String(route.method)} ${route.url} declares ` +
        `${access === undefined ? 'no access' : `the unknown access "${String(access)}"`}. ` +
        `Add config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
    }
    if (access === 'public') return
    // Before the body is read, so that an unauthenticated upload costs nothing. With callbacks, since in the steady
    // state there is nothing to await.
    prependHook(route, 'onRequest', (request, reply, done) => {
      // Authenticated responses must not be cached. Set here, since a hook of its own would cost more.
      reply.header('cache-control', 'no-store')
      let claims: AccessClaims
      try {
        claims = accessTokens.verify(tokenOf(request))
      } catch (error) {
        done(property(error, 'code') === 'ACCESS_TOKEN_INVALID' ? rejected(request, 'forged') : error as Error)
        return
      }
      const session = sessionCache.get(claims)
      if (session) done(admit(request, access, session))
      else sessionCache.load(claims).then(loaded => { done(admit(request, access, loaded)) }, done)
    })
  })
  // cors and openapi register routes that declare no access: the former before this hook exists, the latter with a hook
  // that declares it for them.
}, { name: 'guard', fastify: '5.x', dependencies: ['cors', 'jwt', 'openapi', 'session-cache'] })
