import rateLimit, { type FastifyRateLimitStore, normalizeIP, type RateLimitOptions } from '@fastify/rate-limit'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientAddress } from '../src/client-address.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/security-events.ts'
import type { Counter } from './counters.ts'

const MINUTE = 60

/** Most addresses and sessions that one process counts at a time. */
const KEYS = 50_000

/**
 * A process counts by itself and tells the shared counter only every twentieth of the limit, so that a client who
 * stays far below it costs no query. The price: with N replicas up to N twentieths more are let through.
 */
const STEPS = 20

interface Local {
  /** the shared count, as last heard, with what was told since */
  known: number
  /** not yet told */
  pending: number
  /** when it counts from 0 again, in milliseconds of Unix time */
  until: number
}

/** The counts of every limited route, in the form that @fastify/rate-limit asks for; the key names the route. */
class SteppedStore implements FastifyRateLimitStore {
  readonly #counter: Counter
  readonly #locals = new LRUCache<string, Local>({ max: KEYS })

  constructor (counter: Counter) {
    this.#counter = counter
  }

  incr (key: string, callback: (error: Error | null, result?: { current: number, ttl: number }) => void, timeWindow: number, max: number): void {
    this.#count(key, timeWindow, Math.max(1, Math.floor(max / STEPS))).then(result => callback(null, result), callback)
  }

  child (): this {
    return this
  }

  async #count (key: string, timeWindow: number, step: number): Promise<{ current: number, ttl: number }> {
    const now = Date.now()
    let local = this.#locals.get(key)
    if (!local || local.until <= now) {
      local = { known: 0, pending: 0, until: now + timeWindow }
      this.#locals.set(key, local)
    }
    local.pending++
    if (local.pending >= step) {
      const told = local.pending
      local.pending = 0
      local.known += told
      const { total, msLeft } = await this.#counter.add(key, told)
      local.known = total
      local.until = now + msLeft
    }
    return { current: local.known + local.pending, ttl: local.until - now }
  }
}

interface LimitOptions {
  hook?: 'onRequest' | 'preHandler'
  /** whose requests are counted together */
  subject?: (request: FastifyRequest) => string
}

/**
 * A route's `config.rateLimit`: so many requests a minute, by default of one address, and before the body is read.
 * @param max 0 is no limit
 */
export const perMinute = (max: number, { hook = 'onRequest', subject = addressOf }: LimitOptions = {}): RateLimitOptions | false =>
  max > 0 && {
    max,
    hook,
    timeWindow: MINUTE * 1000,
    keyGenerator: request => `${request.routeOptions.url} ${subject(request)}`
  }

/** The client's address; in IPv6 its /64, which is what one client usually has. */
export const addressOf = (request: FastifyRequest): string => normalizeIP(clientAddress(request))

/** Counts the requests of routes that declare `config.rateLimit`, and refuses those beyond it with a 429. */
export default fp(async function rateLimits (fastify) {
  const warned = new LRUCache<string, true>({ max: 1000, ttl: MINUTE * 1000 })
  await fastify.register(rateLimit, {
    global: false,
    store: class extends SteppedStore {
      constructor () {
        super(fastify.createCounter({ name: 'requests', duration: MINUTE }))
      }
    },
    addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    addHeaders: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false, 'retry-after': false },
    // One line a minute and client: the flood itself should not be one of lines as well.
    onExceeded (request, key) {
      if (!warned.has(key)) logSecurityEvent(request, 'excess_rate_limit_exceeded', { route: request.routeOptions.url })
      warned.set(key, true)
    },
    errorResponseBuilder: (_request, { ttl }) =>
      new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.max(1, Math.ceil(ttl / 1000)) })
  })
}, { name: 'rate-limits', fastify: '5.x', dependencies: ['counters', 'replies'] })
