import { setTimeout as sleep } from 'node:timers/promises'
import postgres from '@fastify/postgres'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import pg from 'pg'
import { type Database, toDatabase } from '../sql/database.ts'
import { isPermissionDenied, isTransient } from '../sql/errors.ts'
import { migrate } from '../sql/migrate.ts'
import { Backoff } from '../src/backoff.ts'
import type { Config } from '../src/config/read-settings.ts'
import { errorMessage } from '../src/unknown.ts'

declare module 'fastify' {
  interface FastifyInstance {
    db: Database
  }
}

// Ids are bigint in the tables and numbers in the HTTP contract: exact up to 2^53, which no sequence reaches.
const types = new pg.TypeOverrides()
types.setTypeParser(pg.types.builtins.INT8, Number)

/** Migrates the database, waiting for it if necessary. An error that waiting cannot fix is thrown at once. */
async function prepare (config: Config, log: FastifyBaseLogger): Promise<void> {
  const deadline = Date.now() + config.DATABASE_START_TIMEOUT * 1000
  const backoff = new Backoff(100, 2000)
  for (;;) {
    try {
      const applied = await migrate(config.DATABASE_URL, config.DATABASE_CONNECT_TIMEOUT)
      if (applied.length > 0) log.info({ applied }, 'database migrated')
      return
    } catch (error) {
      if (isPermissionDenied(error)) {
        throw new Error('The database needs migrations, which the role of DATABASE_URL may not apply. Run `npm run ' +
          `migrate\` with the role that owns the tables. ${errorMessage(error)}`, { cause: error })
      }
      if (!isTransient(error)) throw error
      const delay = backoff.next()
      if (Date.now() + delay > deadline) {
        throw new Error(`The database did not respond within DATABASE_START_TIMEOUT (${config.DATABASE_START_TIMEOUT} s). ` +
          `Check DATABASE_URL and the server. Last error: ${errorMessage(error)}`, { cause: error })
      }
      log.warn(`database unavailable, next attempt in ${delay} ms: ${errorMessage(error)}`)
      await sleep(delay)
    }
  }
}

/** Owns the connection pool. The rest of the service sees only `db` and typed statements. */
export default fp<{ config: Config }>(async function db (fastify, { config }) {
  // Awaited once everything has loaded, which takes longer.
  const prepared = prepare(config, fastify.log)
  prepared.catch(() => {})
  fastify.addHook('onReady', async () => { await prepared })
  await fastify.register(async function pool (scope) {
    await scope.register(postgres, {
      connectionString: config.DATABASE_URL,
      application_name: 'gatehouse',
      max: config.DATABASE_POOL_MAX,
      // Long enough to span the gap between two bursts, short enough to leave the old primary after a failover.
      idleTimeoutMillis: 60_000,
      connectionTimeoutMillis: config.DATABASE_CONNECT_TIMEOUT * 1000,
      // The first timeout makes the server stop, the second also works while the server is frozen.
      statement_timeout: config.DATABASE_QUERY_TIMEOUT * 1000,
      query_timeout: config.DATABASE_QUERY_TIMEOUT * 1000 + 500,
      keepAlive: true,
      types
    })
    const { pool } = scope.pg
    // A restarting server closes idle connections. Without these listeners that would end the process.
    pool.on('error', error => { fastify.log.warn(`idle database connection lost: ${error.message}`) })
    pool.on('connect', client => { client.on('error', () => {}) })
    fastify.decorate('db', toDatabase(pool, {
      named: config.DATABASE_PREPARE === 'on',
      ...config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined && { inSpan: (await import('../src/telemetry/spans.ts')).inSpan }
    }))
  })
}, { name: 'db', fastify: '5.x' })
