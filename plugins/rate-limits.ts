import rateLimit, { type FastifyRateLimitStore, type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientNetwork, SITE_SHARE, siteOf } from '../src/api/client-address.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'
import type { Counter } from './counters.ts'

/** Seconds. */
const MINUTE = 60

/** Maximum number of addresses and sessions that one process counts at once. */
const MAX_KEYS = 50_000

/**
 * A process counts on its own and reports to the shared counter only every twentieth of the limit, so that a client far
 * below the limit causes no query. As a result, N replicas admit up to N twentieths more.
 */
const REPORTS = 20

interface LocalCount {
  /** the shared count when it was last read */
  shared: number
  /** requests not yet reported */
  pending: number
  /** end of the time window, in milliseconds since the Unix epoch */
  until: number
}

interface LimitCount {
  current: number
  /** milliseconds until the count restarts */
  ttl: number
}

/** The store of @fastify/rate-limit for all limited routes. Keys include the route. */
class ReportingStore implements FastifyRateLimitStore {
  readonly #counter: Counter
  readonly #counts = new LRUCache<string, LocalCount>({ max: MAX_KEYS })

  constructor (counter: Counter) {
    this.#counter = counter
  }

  incr (
    key: string,
    callback: (error: Error | null, result?: LimitCount) => void,
    timeWindow: number,
    max: number
  ): void {
    this.#countBoth(key, timeWindow, max).then(result => { callback(null, result) }, callback)
  }

  child (): this {
    return this
  }

  /** Counts a request, for the site of an IPv6 network too. @returns the count that exceeds its limit, if one does */
  async #countBoth (key: string, timeWindow: number, max: number): Promise<LimitCount> {
    const [route = '', subject = ''] = key.split(' ')
    const own = await this.#count(key, timeWindow, max)
    const site = siteOf(subject)
    if (site === undefined) return own
    const shared = await this.#count(`${route} ${site}/48`, timeWindow, max * SITE_SHARE)
    return shared.current > max * SITE_SHARE ? { ...shared, current: max + 1 } : own
  }

  async #count (key: string, timeWindow: number, max: number): Promise<LimitCount> {
    const step = Math.max(1, Math.floor(max / REPORTS))
    const now = Date.now()
    let count = this.#counts.get(key)
    if (!count || count.until <= now) {
      count = { shared: 0, pending: 0, until: now + timeWindow }
      this.#counts.set(key, count)
    }
    count.pending++
    if (count.pending >= step) {
      const reported = count.pending
      count.pending = 0
      count.shared += reported
      const { total, msLeft } = await this.#counter.add(key, reported)
      count.shared = total
      count.until = now + msLeft
    }
    return { current: count.shared + count.pending, ttl: count.until - now }
  }
}

interface LimitOptions {
  hook?: 'onRequest' | 'preHandler'
  /** whose requests are counted together */
  subject?: (request: FastifyRequest) => string
}

/**
 * The `config.rateLimit` of a route: a maximum number of requests per minute, by default per address and counted before
 * the body is read.
 * @param max 0 disables the limit
 */
export function perMinute (max: number, options: LimitOptions = {}): RateLimitOptions | false {
  const { hook = 'onRequest', subject = clientNetwork } = options
  return max > 0 && {
    max,
    hook,
    timeWindow: MINUTE * 1000,
    keyGenerator: request => `${request.routeOptions.url} ${subject(request)}`
  }
}

const NO_HEADERS = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** Counts the requests of routes that declare `config.rateLimit`, and responds 429 beyond the limit. */
export default fp(async function rateLimits (fastify) {
  const logQuietly = createQuietLog()
  await fastify.register(rateLimit, {
    global: false,
    store: class extends ReportingStore {
      constructor () {
        super(fastify.createCounter({ name: 'requests', duration: MINUTE }))
      }
    },
    addHeadersOnExceeding: NO_HEADERS,
    addHeaders: { ...NO_HEADERS, 'retry-after': false },
    onExceeded (request, key) {
      logQuietly(request, 'excess_rate_limit_exceeded', key, { route: request.routeOptions.url })
    },
    errorResponseBuilder: (_request, { ttl }) =>
      new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.max(1, Math.ceil(ttl / 1000)) })
  })
}, { name: 'rate-limits', fastify: '5.x', dependencies: ['counters'] })
