import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { lockCaller } from '../sql/sessions.ts'
import { lockRoles } from '../sql/users.ts'
import { type Access, denial } from '../src/access.ts'
import { accessTokenOf } from '../src/api/access-token.ts'
import { clientNetwork } from '../src/api/client-address.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import { requirementsOf } from '../src/api/route-requirements.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { mustEnrol } from '../src/factors/policy.ts'
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
    /** The route is part of setting up a second factor, and admits those who must do so first (SECOND_FACTOR). */
    enrolment?: true
  }
  interface FastifyRequest {
    /** The caller of an authenticated route, with the roles held now. @throws Error on a public route */
    caller: SessionEntry
  }
  interface FastifyInstance {
    /**
     * Identifies the caller by the access token, for a public route that lets some callers do more.
     * @param freshness as a route's `config.freshness`
     * @throws ApiError for which `isTokenDenial` is true, and DATABASE_UNAVAILABLE
     */
    identify (request: FastifyRequest, freshness?: true): Promise<SessionEntry>
    /**
     * Checks again, in the transaction of a change, that the caller's session is alive, and that the user is enabled
     * and has the role. The guard decided before the body arrived and, possibly, before a password was hashed. The rows
     * are locked, so a concurrent change of them waits until the transaction ends.
     * @throws ApiError ACCESS_TOKEN_INVALID, or the denial of `access`
     */
    recheck (transaction: Queryable, caller: SessionEntry, access: Access): Promise<void>
  }
}

/** Whether the database may know better than the session cache. */
const isUnmet = ({ code }: ApiError): boolean =>
  code === 'REAUTHENTICATION_REQUIRED' || code === 'SECOND_FACTOR_ENROLMENT_REQUIRED'

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

  /** The error for a session that is alive, but must be renewed, or must set up a second factor, first. */
  function unmet (
    required: { freshness?: true | undefined, enrolment?: true | undefined }, session: SessionEntry
  ): ApiError | undefined {
    if (!required.enrolment && mustEnrol(session, config.SECOND_FACTOR)) {
      return new ApiError('SECOND_FACTOR_ENROLMENT_REQUIRED')
    }
    if (!required.freshness || isFresh(session, within)) return undefined
    return new ApiError('REAUTHENTICATION_REQUIRED', undefined, { headers: challenge })
  }

  fastify.decorate('identify', async (request, freshness) => {
    const claims = accessTokens.verify(accessTokenOf(request))
    const cached = sessionCache.get(claims)
    if (cached && !unmet({ freshness }, cached)) return cached
    const session = await sessionCache.load(claims)
    if (!session) throw new ApiError('ACCESS_TOKEN_INVALID')
    const error = unmet({ freshness }, session)
    if (error) throw error
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
    request: FastifyRequest, requirements: FastifyContextConfig, session: SessionEntry | undefined
  ): ApiError | undefined {
    if (!session) return rejected(request, 'revoked')
    const denied = denial(requirements.access, session.roles)
    if (denied) {
      logQuietly(request, 'authz_fail', session.userId, { userId: session.userId, route: request.routeOptions.url })
      return new ApiError(denied)
    }
    const error = unmet(requirements, session)
    if (!error) callers.set(request, session)
    return error
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
      if (cached && (!error || !isUnmet(error))) done(error)
      else sessionCache.load(claims).then(loaded => { done(admit(request, requirements, loaded)) }, done)
    })
  })
  // cors and openapi register routes that declare no access: the former before this hook exists, the latter with a hook
  // that declares it for them.
}, { name: 'guard', fastify: '5.x', dependencies: ['cors', 'jwt', 'openapi', 'session-cache'] })
