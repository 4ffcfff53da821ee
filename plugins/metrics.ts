import fp from 'fastify-plugin'
import { Counter, Gauge, Registry } from 'prom-client'
import { prependHook } from '../src/api/route-hooks.ts'
import type { Config } from '../src/config/read-settings.ts'
import { cumulativeBuckets, type DurationSeries, type RequestDurations } from '../src/telemetry/request-durations.ts'
import { toApiError } from './error-handler.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The metrics that src/process/metrics-server.ts serves to Prometheus. */
    metrics: Registry
    /** The durations that src/app.ts has Fastify record. */
    requestDurations: RequestDurations
  }
  interface FastifyContextConfig {
    /** Counts a route's outcomes under this name. */
    action?: 'sign_in' | 'sign_up' | 'refresh'
  }
}

/** Metrics of requests and of the resources they wait for. The latter are read when Prometheus asks for them. */
export default fp<{ config: Config }>(async function metrics (fastify, { config }) {
  const { db, passwords, requestDurations, sessionCache } = fastify
  const registry = new Registry()
  const registers = [registry]
  fastify.decorate('metrics', registry)

  // Together these three are the histogram http_request_duration_seconds. prom-client's Histogram only takes
  // observations, not the counts of src/telemetry/request-durations.ts.
  const labelNames = ['method', 'route', 'status', 'le'] as const
  type Add = (counter: Counter<typeof labelNames[number]>, series: DurationSeries) => void
  const durations = (name: string, help: string, add: Add) =>
    new Counter({
      name: `http_request_duration_seconds_${name}`,
      help,
      labelNames,
      registers,
      collect () {
        this.reset()
        for (const series of requestDurations.series) add(this, series)
      }
    })
  durations('bucket', 'Requests by method, route and status that took at most `le` seconds.', (counter, series) => {
    for (const { le, count } of cumulativeBuckets(series)) counter.inc({ ...series.labels, le }, count)
  })
  durations('sum', 'Total duration of requests by method, route and status.', (counter, { labels, sum }) => {
    counter.inc(labels, sum)
  })
  durations('count', 'Requests by method, route and status.', (counter, { labels, buckets }) => {
    counter.inc(labels, buckets.reduce((total, { count }) => total + count, 0))
  })

  const outcomes = new Counter({
    name: 'gatehouse_auth_total',
    help: 'Sign-ups, sign-ins and refreshes by outcome: success, or the error code.',
    labelNames: ['action', 'outcome'] as const,
    registers
  })
  fastify.addHook('onRoute', route => {
    const action = route.config?.action
    if (action === undefined) return
    prependHook(route, 'onSend', async (_request, reply) => {
      if (reply.statusCode < 400) outcomes.inc({ action, outcome: 'success' })
    })
    prependHook(route, 'onError', async (_request, _reply, error) => {
      outcomes.inc({ action, outcome: toApiError(error).code })
    })
  })

  const gauge = (name: string, help: string, read: () => number) => new Gauge({
    name, help, registers, collect () { this.set(read()) }
  })
  const counter = (name: string, help: string, read: () => number) => new Counter({
    name, help, registers, collect () { this.reset(); this.inc(read()) }
  })

  gauge('gatehouse_password_hashes_in_progress', 'Password hashes in progress.', () => passwords.load().inProgress)
  gauge('gatehouse_password_hashes_queued', 'Password hashes in the queue.', () => passwords.load().queued)
  gauge('gatehouse_db_pool_connections', 'Connections of the database pool.', () => db.connections().total)
  gauge('gatehouse_db_pool_idle', 'Idle connections of the database pool.', () => db.connections().idle)
  gauge('gatehouse_db_pool_waiting', 'Requests that wait for a database connection.', () => db.connections().waiting)
  counter('gatehouse_session_cache_hits_total', 'Authenticated requests that needed no query.',
    () => sessionCache.stats().hits)
  counter('gatehouse_session_cache_misses_total', 'Authenticated requests that queried the database.',
    () => sessionCache.stats().misses)
  gauge('gatehouse_session_cache_entries', 'Sessions and API keys in the cache.', () => sessionCache.stats().entries)
  // Without the cache no process listens, which is no fault to alert on.
  if (config.SESSION_CACHE === 'off') return
  gauge('gatehouse_invalidation_listening', 'Processes that receive invalidations. The others query the database ' +
    'on every request.', () => Number(sessionCache.stats().isListening))
  counter('gatehouse_invalidations_lost_total', 'Times that the connection for invalidations was lost, or could not be ' +
    'proven to receive them.', () => sessionCache.stats().losses)
}, { name: 'metrics', fastify: '5.x', dependencies: ['db', 'passwords', 'session-cache'] })
