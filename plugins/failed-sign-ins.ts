import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientNetwork } from '../src/api/client-address.ts'
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
  /** Networks beyond the limit, and when their count restarts, in milliseconds since the Unix epoch. */
  const blocked = new LRUCache<string, number>({ max: 10_000, ttl: MINUTE * 1000 })

  fastify.decorate('limitFailedSignIns', async (request, verify) => {
    const network = clientNetwork(request)
    const msLeft = (blocked.get(network) ?? 0) - Date.now()
    if (msLeft > 0) throw new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.ceil(msLeft / 1000) })
    const matches = await verify()
    if (matches || config.RATE_LIMIT_SIGNIN_FAILURES === 0) return matches
    const count = await counter.add(network)
    if (count.total >= config.RATE_LIMIT_SIGNIN_FAILURES) {
      const fields = { route: request.routeOptions.url, failures: count.total }
      logQuietly(request, 'excess_rate_limit_exceeded', network, fields)
      blocked.set(network, Date.now() + count.msLeft, { ttl: Math.max(1, count.msLeft) })
    }
    return false
  })
}, { name: 'failed-sign-ins', fastify: '5.x', dependencies: ['counters'] })
