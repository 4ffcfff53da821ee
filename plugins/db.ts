import { setTimeout as sleep } from 'node:timers/promises'
import postgres from '@fastify/postgres'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import pg from 'pg'
import { type Database, isOurs, toDatabase } from '../sql/database.ts'
import { migrate } from '../sql/migrate.ts'
import type { Config } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    db: Database
  }
}

// ids are bigint in the tables and numbers in the contract: exact up to 2^53, which no sequence will reach.
const types = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser
}

/** The first of the delays between two tries at start, and the longest, in milliseconds. */
const BACK_OFF = { first: 100, longest: 2000 }

/** Migrates as soon as the database answers. Faults that waiting cannot mend (a wrong password) end it at once. */
async function prepare (config: Config, log: FastifyBaseLogger): Promise<void> {
  const deadline = Date.now() + config.DATABASE_START_TIMEOUT * 1000
  let delay = BACK_OFF.first
  const attempt = async (): Promise<boolean> => {
    try {
      const applied = await migrate(config.DATABASE_URL, config.DATABASE_CONNECT_TIMEOUT)
      if (applied.length > 0) log.info({ applied }, 'database migrated')
      return true
    } catch (error) {
      if (!isWorthWaiting(error)) throw error
      if (Date.now() + delay > deadline) {
        throw new Error(`The database did not answer within ${config.DATABASE_START_TIMEOUT} s ` +
          `(DATABASE_START_TIMEOUT): check DATABASE_URL and the server. Last: ${describe(error)}`, { cause: error })
      }
      log.warn(`database not available, next try in ${delay} ms: ${describe(error)}`)
      return false
    }
  }
  while (!await attempt()) {
    await sleep(delay)
    delay = Math.min(delay * 2, BACK_OFF.longest)
  }
}

// Class 28 is a refused login, 3D a database that does not exist; the rest of what is not the statement's fault passes.
const LASTING = /^(28|3D)/

function isWorthWaiting (error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return !isOurs(error) && !LASTING.test(String(error.code))
  return error instanceof Error && ('code' in error || /connect|timeout/i.test(error.message))
}

/** An error in a line; one of several addresses of a host has nothing to say but its parts. */
const describe = (error: unknown): string => [error, ...Object(error).errors ?? []].join('; ')

/** Owns the connections: the pool stays in here, the rest of the service sees `db` and typed statements only. */
export default fp<{ config: Config }>(async function db (fastify, { config }) {
  await prepare(config, fastify.log)
  await fastify.register(async function pool (scope) {
    await scope.register(postgres, {
      connectionString: config.DATABASE_URL,
      application_name: 'gatehouse',
      max: config.DATABASE_POOL_MAX,
      // Long enough to be kept between two bursts, short enough for a fail-over's old primary to be let go.
      idleTimeoutMillis: 60_000,
      connectionTimeoutMillis: config.DATABASE_CONNECT_TIMEOUT * 1000,
      // The server's timeout frees the server; the client's is the one that a frozen server cannot ignore.
      statement_timeout: config.DATABASE_QUERY_TIMEOUT * 1000,
      query_timeout: config.DATABASE_QUERY_TIMEOUT * 1000 + 500,
      keepAlive: true,
      types
    })
    const { pool } = scope.pg
    // A restarting server ends idle connections; without these listeners it would end the process too.
    pool.on('error', error => fastify.log.warn(`idle database connection lost: ${error.message}`))
    pool.on('connect', client => client.on('error', () => {}))
    fastify.decorate('db', toDatabase(pool, {
      named: config.DATABASE_PREPARE === 'on',
      traced: config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined
    }))
  })
}, { name: 'db', fastify: '5.x' })
