import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { clientNetwork } from '../src/api/client-address.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'

/** Milliseconds. */
const MINUTE = 60_000

/** Maximum number of networks that one process counts at once. */
const MAX_NETWORKS = 50_000

/**
 * Limits all requests of an address together, whatever they ask for. Each process counts on its own and in memory: this
 * limit is far above the use of any client, and protects the process rather than users. Probes are exempt, because a
 * flood must not make a healthy service appear dead.
 */
export default fp<{ config: Config }>(async function requestCeiling (fastify, { config }) {
  const max = config.RATE_LIMIT_REQUESTS
  if (max === 0) return
  const logQuietly = createQuietLog()
  const counts = new LRUCache<string, { requests: number, until: number }>({ max: MAX_NETWORKS })

  fastify.addHook('onRequest', (request, _reply, done) => {
    const network = clientNetwork(request)
    const now = performance.now()
    let count = counts.get(network)
    if (!count || count.until <= now) {
      count = { requests: 0, until: now + MINUTE }
      counts.set(network, count)
    }
    count.requests++
    if (count.requests <= max || request.url.startsWith('/health/')) {
      done()
      return
    }
    logQuietly(request, 'excess_rate_limit_exceeded', network, { requests: max })
    done(new ApiError('TOO_MANY_REQUESTS', undefined, { retryAfter: Math.ceil((count.until - now) / 1000) }))
  })
  // cors, response-headers: their hooks have to run first, so that pages can read the 429.
}, { name: 'request-ceiling', fastify: '5.x', dependencies: ['cors', 'response-headers'] })
