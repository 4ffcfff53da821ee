import fp from 'fastify-plugin'
import { descriptorLimit } from '../src/config/descriptor-limit.ts'
import type { Config } from '../src/config/read-settings.ts'

/** File descriptors that a process needs besides those of its clients and of its database connections. */
const RESERVED = 64

/** Milliseconds between two closures of idle connections. */
const INTERVAL = 1000

/**
 * Limits the connections of clients. At the limit, Node closes further connections. Idle ones are then closed too, so
 * that clients which keep connections open without using them do not lock others out, and `/health/live` responds.
 */
export default fp<{ config: Config }>(async function connections (fastify, { config }) {
  const { server } = fastify
  const limit = descriptorLimit()
  const available = Math.max(1, limit - config.DATABASE_POOL_MAX - RESERVED)
  server.maxConnections = Math.min(config.MAX_CONNECTIONS, available)
  if (available < config.MAX_CONNECTIONS) {
    fastify.log.warn(`MAX_CONNECTIONS is ${config.MAX_CONNECTIONS}, but the limit of ${limit} file descriptors ` +
      `(ulimit -n) only allows ${available}. Raise that limit, or lower MAX_CONNECTIONS.`)
  }
  let closed = -Infinity
  server.on('drop', () => {
    if (performance.now() - closed < INTERVAL) return
    closed = performance.now()
    server.closeIdleConnections()
  })
}, { name: 'connections', fastify: '5.x' })
