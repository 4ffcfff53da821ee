import type { FastifyContextConfig, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { lockCaller } from '../sql/sessions.ts'
import { lockRoles } from '../sql/users.ts'
import { type Access, denial, isAccess, policies } from '../src/access.ts'
import { accessTokenOf } from '../src/api/access-token.ts'
import { clientNetwork } from '../src/api/client-address.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'
import { isFresh } from '../src/tokens/authentication.ts'
import type { SessionEntry } from '../src/tokens/session-cache.ts'
import { property } from '../src/unknown.ts'
import type { AccessClaims } from './jwt.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The access policy of the route. A route without one prevents the start. */
    access: Access
    /** The route requires a session whose user has authenticated within REAUTHENTICATION_WITHIN seconds. */
    freshness?: true
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

/** What a route declares. @throws Error that prevents the start, if this plugin could not enforce it */
function requirementsOf ({ method, url, config }: RouteOptions): FastifyContextConfig {
  const route = `Route ${String(method)} ${url}`
  if (!isAccess(config?.access)) {
    throw new Error(`${route} declares ` +
      `${config?.access === undefined ? 'no access' : `the unknown access "${String(config.access)}"`}. ` +
      `Add config: { access } with one of: ${Object.keys(policies).join(', ')}.`)
  }
  const freshness: unknown = config.freshness
  if (freshness !== undefined && freshness !== true) {
    throw new Error(`${route} declares the unknown freshness "${String(freshness)}". Use true, or leave it out.`)
  }
  if (freshness && config.access === 'public') throw new Error(`${route} is public, so it cannot require freshness.`)
  return config
}

/**
 * Enforces the access that routes declare as `config.access`, and then `config.freshness`. Denies by default: guarding
 * routes by their folder or their URL would leave a forgotten or misspelt one open.
 */
export default fp<{ config: Config }>(async function guard (fastify, { config }) {
  const { accessTokens, sessionCache } = fastify
  const within = config.REAUTHENTICATION_WITHIN
  // RFC 9470 §3.
  const challenge = { 'www-authenticate': `Bearer error="insufficient_user_authentication", max_age=${within}` }
  const callers = new WeakMap<FastifyRequest, SessionEntry>()
  const logQuietly = createQuietLog()

  fastify.decorate('identify', async request => {
    const claims = accessTokens.verify(accessTokenOf(request))
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
  function admit (
    request: FastifyRequest, { access, freshness }: FastifyContextConfig, session: SessionEntry | undefined
  ): ApiError | undefined {
    if (!session) return rejected(request, 'revoked')
    const denied = denial(access, session.roles)
    if (denied) {
      logQuietly(request, 'authz_fail', session.userId, { userId: session.userId, route: request.routeOptions.url })
      return new ApiError(denied)
    }
    if (freshness && !isFresh(session, within)) {
      return new ApiError('REAUTHENTICATION_REQUIRED', undefined, { headers: challenge })
    }
    callers.set(request, session)
    return undefined
  }

  fastify.addHook('onRoute', route => {
    const requirements = requirementsOf(route)
    if (requirements.access === 'public') return
    // Before the body is read, so that an unauthenticated upload costs nothing. With callbacks, since in the steady
    // state there is nothing to await.
    prependHook(route, 'onRequest', (request, reply, done) => {
      // Authenticated responses must not be cached. Set here, since a hook of its own would cost more.
      reply.header('cache-control', 'no-store')
      let claims: AccessClaims
      try {
        claims = accessTokens.verify(accessTokenOf(request))
      } catch (error) {
        done(property(error, 'code') === 'ACCESS_TOKEN_INVALID' ? rejected(request, 'forged') : error as Error)
        return
      }
      const cached = sessionCache.get(claims)
      const error = cached && admit(request, requirements, cached)
      // Another replica may have renewed the session, which sends no notification. The database decides.
      if (cached && error?.code !== 'REAUTHENTICATION_REQUIRED') done(error)
      else sessionCache.load(claims).then(loaded => { done(admit(request, requirements, loaded)) }, done)
    })
  })
  // cors and openapi register routes that declare no access: the former before this hook exists, the latter with a hook
  // that declares it for them.
}, { name: 'guard', fastify: '5.x', dependencies: ['cors', 'jwt', 'openapi', 'session-cache'] })
