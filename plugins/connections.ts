import type { Socket } from 'node:net'
import { compile } from '@fastify/proxy-addr'
import fp from 'fastify-plugin'
import { networkOf } from '../src/api/client-address.ts'
import { descriptorLimit } from '../src/config/descriptor-limit.ts'
import type { Config } from '../src/config/read-settings.ts'
import { createQuietLog } from '../src/telemetry/security-events.ts'

/** File descriptors that a process needs besides those of its clients and of its database connections. */
const RESERVED = 64

/** Milliseconds between two closures of idle connections. */
const INTERVAL = 1000

/**
 * Limits the connections of clients, in total and from one address. At the total limit, Node closes further
 * connections. Idle ones are then closed too, so that clients which keep connections open without using them do not
 * lock others out, and `/health/live` responds.
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

  const max = config.MAX_CONNECTIONS_PER_ADDRESS
  if (max === 0) return
  // All clients share the connections of a proxy.
  const isTrusted = compile(config.TRUST_PROXY)
  const open = new Map<string, { connections: number }>()
  const logQuietly = createQuietLog()
  server.on('connection', (socket: Socket) => {
    // Unknown if the client has disconnected.
    const { remoteAddress: ip } = socket
    if (ip === undefined || isTrusted(ip, 0)) return
    const network = networkOf(ip)
    const held = open.get(network) ?? { connections: 0 }
    if (held.connections === max) {
      socket.destroy()
      logQuietly({ log: fastify.log, ip, socket }, 'excess_rate_limit_exceeded', network, { connections: max })
      return
    }
    open.set(network, held)
    held.connections++
    socket.once('close', () => {
      held.connections--
      if (held.connections === 0) open.delete(network)
    })
  })
}, { name: 'connections', fastify: '5.x' })
