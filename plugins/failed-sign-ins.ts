import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientNetwork, SITE_SHARE, siteOf } from '../src/api/client-address.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Verifies a password, unless too many sign-ins from the same network have failed within a minute, over all users.
     * Successful ones are not counted.
     * @throws ApiError TOO_MANY_REQUESTS, and what `verify` throws
     */
    limitFailedSignIns (request: FastifyRequest, verify: () => Promise<boolean>): Promise<boolean>
  }
}

/** Seconds. */
const MINUTE = 60

/**
 * Slows an attacker who tries a few passwords on each of many users, which the sign-in throttle does not notice (OWASP
 * ASVS 5.0 §6.3.1). The shared count is asked only when a sign-in fails, so a replica learns of failures at the others
 * with the first one of its own.
 */
export default fp<{ config: Config }>(async function failedSignIns (fastify, { config }) {
  const logQuietly = createQuietLog()
  const counter = fastify.createCounter({ name: 'failed', duration: MINUTE })
  const max = config.RATE_LIMIT_SIGNIN_FAILURES
  /** Networks beyond their limit, and when their count restarts, in milliseconds since the Unix epoch. */
  const blocked = new LRUCache<string, number>({ max: 10_000, ttl: MINUTE * 1000 })

  /** The networks that a client's failures are counted for, with their limits: its own and, with IPv6, the site's. */
  function limitsOf (request: FastifyRequest): Array<[network: string, limit: number]> {
    const network = clientNetwork(request)
    const site = siteOf(network)
    return site === undefined ? [[network, max]] : [[network, max], [`${site}/48`, max * SITE_SHARE]]
  }

  fastify.decorate('limitFailedSignIns', async (request, verify) => {
    if (max === 0) return await verify()
    const limits = limitsOf(request)
    const until = Math.max(...limits.map(([network]) => blocked.get(network) ?? 0))
    const msLeft = until - Date.now()
    if (msLeft > 0) throw new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.ceil(msLeft / 1000) })
    if (await verify()) return true
    for (const [network, limit] of limits) {
      const count = await counter.add(network)
      if (count.total < limit) continue
      const fields = { route: request.routeOptions.url, failures: count.total }
      logQuietly(request, 'excess_rate_limit_exceeded', network, fields)
      blocked.set(network, Date.now() + count.msLeft, { ttl: Math.max(1, count.msLeft) })
    }
    return false
  })
}, { name: 'failed-sign-ins', fastify: '5.x', dependencies: ['counters'] })
