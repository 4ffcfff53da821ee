import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Queryable } from '../sql/database.ts'
import { lockCaller } from '../sql/sessions.ts'
import { lockRoles } from '../sql/users.ts'
import { type Access, denial } from '../src/access.ts'
import { accessTokenOf, credentialOf } from '../src/api/access-token.ts'
import { clientNetwork } from '../src/api/client-address.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import { requirementsOf } from '../src/api/route-requirements.ts'
import { isUnmet, unmetBy } from '../src/api/unmet-requirements.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'
import type { CallerEntry, SessionEntry } from '../src/tokens/session-cache.ts'
import { property } from '../src/unknown.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The access policy of the route. A route without one prevents the start. */
    access: Access
    /** The route requires a session whose user has authenticated within REAUTHENTICATION_WITHIN seconds. */
    freshness?: true
    /** The route is part of setting up a second factor, and admits those who must do so first (SECOND_FACTOR). */
    enrolment?: true
    /** The route admits API keys: in place of an access token, or only them. */
    apiKeys?: true | 'only'
    /** A request that presents nothing gets 401 ACCESS_TOKEN_INVALID, not the 403 that existing front-ends know. */
    missing?: 401
  }
  interface FastifyRequest {
    /** The session of an authenticated route, with the roles held now. @throws Error if public, or for an API key */
    caller: SessionEntry
    /** The session or the API key of a route that admits both. @throws Error on a public route */
    anyCaller: CallerEntry
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

/** For an access token or an API key that may be valid, on a route that does not admit its kind. */
const NOT_ADMITTED = { cause: 'not admitted' } as const

/**
 * Enforces the access that routes declare as `config.access`, and then `config.freshness`. Denies by default: guarding
 * routes by their folder or their URL would leave a forgotten or misspelt one open.
 */
export default fp<{ config: Config }>(async function guard (fastify, { config }) {
  const { accessTokens, apiKeys, sessionCache } = fastify
  const unmet = unmetBy(config)
  const callers = new WeakMap<FastifyRequest, CallerEntry>()
  const logQuietly = createQuietLog()

  fastify.decorate('identify', async (request, freshness) => {
    const claims = accessTokens.verify(accessTokenOf(request))
    const cached = sessionCache.get(claims)
    if (cached && !unmet(freshness, undefined, cached)) return cached
    const session = await sessionCache.load(claims)
    const error = session && unmet(freshness, undefined, session)
    if (!session || error) throw error ?? new ApiError('ACCESS_TOKEN_INVALID')
    return session
  })

  fastify.decorate('recheck', async (transaction, { userId, sessionId }, access) => {
    const [caller] = await transaction.query(lockCaller(userId, sessionId))
    if (!caller) throw new ApiError('ACCESS_TOKEN_INVALID')
    const held = await transaction.query(lockRoles(userId))
    const denied = denial(access, held.map(({ role }) => role))
    if (denied) throw new ApiError(denied)
  })

  function callerOf (request: FastifyRequest): CallerEntry {
    const caller = callers.get(request)
    if (!caller) throw new Error('a public route has no caller')
    return caller
  }

  fastify.decorateRequest('anyCaller', { getter () { return callerOf(this) } })

  fastify.decorateRequest('caller', {
    getter () {
      const caller = callerOf(this)
      if ('keyId' in caller) throw new Error('an API key has no session')
      return caller
    }
  })

  /** The caller, if no query is needed, and what queries. @throws ApiError ACCESS_TOKEN_… */
  function present (request: FastifyRequest, requirements: FastifyContextConfig) {
    const credential = credentialOf(request)
    if ('key' in credential) {
      const key = apiKeys.decode(credential.key)
      if (!key) throw new ApiError('ACCESS_TOKEN_INVALID')
      if (!requirements.apiKeys) throw new ApiError('ACCESS_TOKEN_INVALID', undefined, NOT_ADMITTED)
      return { cached: apiKeys.get(key), load: async () => await apiKeys.load(key) }
    }
    if (requirements.apiKeys === 'only') throw new ApiError('ACCESS_TOKEN_INVALID', undefined, NOT_ADMITTED)
    const claims = accessTokens.verify(credential.token)
    return { cached: sessionCache.get(claims), load: async () => await sessionCache.load(claims) }
  }

  function rejected (request: FastifyRequest, reason: 'forged' | 'not admitted' | 'revoked'): ApiError {
    logQuietly(request, 'authn_token_rejected', clientNetwork(request), { reason, route: request.routeOptions.url })
    return new ApiError('ACCESS_TOKEN_INVALID')
  }

  /** Decides by the roles that the caller has now, not by those in a token: changes apply to the next request. */
  function admit (
    request: FastifyRequest, requirements: FastifyContextConfig, caller: CallerEntry | undefined
  ): ApiError | undefined {
    if (!caller) return rejected(request, 'revoked')
    const denied = denial(requirements.access, caller.roles)
    if (denied) {
      logQuietly(request, 'authz_fail', caller.userId, { userId: caller.userId, route: request.routeOptions.url })
      return new ApiError(denied)
    }
    const error = unmet(requirements.freshness, requirements.enrolment, caller)
    if (!error) callers.set(request, caller)
    return error
  }

  fastify.addHook('onRoute', route => {
    const requirements = requirementsOf(route)
    if (requirements.access === 'public') return
    // Before the body is read: unauthenticated uploads cost nothing. With callbacks: usually, nothing is to be awaited.
    prependHook(route, 'onRequest', (request, reply, done) => {
      // Authenticated responses must not be cached. Set here, since a hook of its own would cost more.
      reply.header('cache-control', 'no-store')
      let presented: ReturnType<typeof present>
      try {
        presented = present(request, requirements)
      } catch (error) {
        const code = property(error, 'code')
        const reason = property(error, 'cause') === NOT_ADMITTED.cause ? NOT_ADMITTED.cause : 'forged'
        if (code === 'ACCESS_TOKEN_MISSING' && requirements.missing) done(new ApiError('ACCESS_TOKEN_INVALID'))
        else done(code === 'ACCESS_TOKEN_INVALID' ? rejected(request, reason) : error as Error)
        return
      }
      const { cached, load } = presented
      const error = cached && admit(request, requirements, cached)
      // Another replica may have renewed the session, which sends no notification. The database decides.
      if (cached && (!error || !isUnmet(error))) done(error)
      else load().then(loaded => { done(admit(request, requirements, loaded)) }, done)
    })
  })
  // Routes of cors and openapi declare no access: cors adds its before this hook exists, openapi declares it.
}, { name: 'guard', fastify: '5.x', dependencies: ['api-keys', 'cors', 'jwt', 'openapi', 'session-cache'] })
