/* c8 ignore start: runs with a real Redis, in npm run test:redis */
import type { FastifyBaseLogger } from 'fastify'
import type { Redis } from 'ioredis'
import type { Settings } from './settings.ts'

/**
 * Connects to Redis, and again whenever the connection is lost. Resolves after the first attempt, good or not: while
 * Redis is away, commands fail at once, and requests that need one are answered 503.
 */
export async function connectRedis (url: string, settings: Settings, log: FastifyBaseLogger): Promise<Redis> {
  // Loaded by those who use it: it takes some MiB.
  const ioredis = await import('ioredis')
  const client = new ioredis.Redis(url, {
    connectionName: 'gatehouse',
    connectTimeout: settings.DATABASE_CONNECT_TIMEOUT * 1000,
    commandTimeout: settings.DATABASE_QUERY_TIMEOUT * 1000,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0
  })
  client.on('error', error => log.warn(`Redis: ${error.message}`))
  await new Promise<void>(resolve => {
    client.once('ready', resolve)
    client.once('error', () => resolve())
  })
  return client
}
/* c8 ignore stop */
