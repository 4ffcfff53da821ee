import fp from 'fastify-plugin'
import type { Redis } from 'ioredis'
import type { Config } from '../src/config/read-settings.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The connection of REDIS_URL; undefined without that setting. */
    redis: Redis | undefined
  }
}

/**
 * Connects to Redis, and reconnects whenever the connection is lost. The start waits for the first attempt, successful
 * or not. Without a connection, commands fail at once, and requests that need one get 503.
 */
export default fp<{ config: Config }>(async function redis (fastify, { config }) {
  /* c8 ignore start: test/redis/redis.test.ts covers it against a real Redis (npm run test:redis) */
  if (config.REDIS_URL !== undefined) {
    // Loaded on demand: it takes several MiB.
    const ioredis = await import('ioredis')
    const client = new ioredis.Redis(config.REDIS_URL, {
      connectionName: 'gatehouse',
      connectTimeout: config.DATABASE_CONNECT_TIMEOUT * 1000,
      commandTimeout: config.DATABASE_QUERY_TIMEOUT * 1000,
      // Reconnects if packets are silently dropped, which the timeout above only notices for each command.
      socketTimeout: config.DATABASE_QUERY_TIMEOUT * 1000 + 500,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0
    })
    client.on('error', error => { fastify.log.warn(`Redis: ${error.message}`) })
    await new Promise<void>(resolve => {
      client.once('ready', resolve)
      client.once('error', () => { resolve() })
    })
    fastify.addHook('onClose', () => { client.disconnect() })
    fastify.decorate('redis', client)
    return
  }
  /* c8 ignore stop */
  fastify.decorate('redis', undefined)
}, { name: 'redis', fastify: '5.x' })
