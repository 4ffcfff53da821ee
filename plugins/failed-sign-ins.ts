import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientNetwork, SITE_SHARE, siteOf } from '../src/api/client-address.ts'
import { RequestQueues } from '../src/api/request-queues.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Verifies what a client presents to sign in, unless too many sign-ins from the same network have failed within a
     * minute, over all users. Successful ones are not counted.
     * @param verify false if it is wrong
     * @throws ApiError TOO_MANY_REQUESTS, BUSY, and what `verify` throws
     */
    limitFailedSignIns <Result> (
      request: FastifyRequest, verify: () => Promise<Result | false>
    ): Promise<Result | false>
  }
}

/** A network that a client's failures are counted for: its own and, with IPv6, the site's. */
type Limit = [network: string, limit: number]

/** Seconds. */
const MINUTE = 60

/**
 * Maximum number of sign-ins from one network that this process verifies at once; further ones are queued. Failures are
 * counted after the verification, so a burst can exceed the limit by this number. The site of an IPv6 network has as
 * many times more as of failures.
 */
const CONCURRENCY = 8

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
  const ofNetworks = new RequestQueues(CONCURRENCY, config.DATABASE_CONNECT_TIMEOUT)
  const ofSites = new RequestQueues(CONCURRENCY * SITE_SHARE, config.DATABASE_CONNECT_TIMEOUT)

  async function attempt<Result> (
    limits: readonly Limit[], request: FastifyRequest, verify: () => Promise<Result | false>
  ): Promise<Result | false> {
    const until = Math.max(...limits.map(([network]) => blocked.get(network) ?? 0))
    const msLeft = until - Date.now()
    if (msLeft > 0) throw new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.ceil(msLeft / 1000) })
    const result = await verify()
    if (result !== false) return result
    for (const [network, limit] of limits) {
      const count = await counter.add(network)
      if (count.total < limit) continue
      const fields = { route: request.routeOptions.url, failures: count.total }
      logQuietly(request, 'excess_rate_limit_exceeded', network, fields)
      blocked.set(network, Date.now() + count.msLeft, { ttl: Math.max(1, count.msLeft) })
    }
    return false
  }

  fastify.decorate('limitFailedSignIns', async (request, verify) => {
    if (max === 0) return await verify()
    const network = clientNetwork(request)
    const site = siteOf(network)
    const limits: Limit[] = [[network, max]]
    if (site !== undefined) limits.push([`${site}/48`, max * SITE_SHARE])
    const run = async () => await attempt(limits, request, verify)
    // First that of the network, so that one network cannot fill the queue of its site.
    return await ofNetworks.run(network, site === undefined ? run : async () => await ofSites.run(site, run))
  })
}, { name: 'failed-sign-ins', fastify: '5.x', dependencies: ['counters'] })
