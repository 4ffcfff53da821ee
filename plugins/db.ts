import { setTimeout as sleep } from 'node:timers/promises'
import postgres from '@fastify/postgres'
import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import pg from 'pg'
import { type Statement } from '../sql/statement.ts'
import { migrate } from '../sql/migrate.ts'
import { begin, commit, rollback } from '../sql/transaction.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'

/** What can be asked, of the pool or within a transaction. */
export interface Queryable {
  /**
   * Runs one statement.
   * @throws ApiError DATABASE_UNAVAILABLE when the server, the network or the pool is at fault;
   * pg.DatabaseError when the statement is (a violated constraint, say)
   */
  query <Row> (statement: Statement<Row>): Promise<Row[]>
}

export interface Database extends Queryable {
  /**
   * Runs statements as one transaction: committed when `work` resolves, undone when it rejects. A refusal that must
   * keep what was written leaves `work` as a value and is thrown afterwards.
   * @throws what `query` throws, and what `work` throws
   */
  transaction <Result> (work: (transaction: Queryable) => Promise<Result>): Promise<Result>
}

declare module 'fastify' {
  interface FastifyInstance {
    db: Database
  }
}

// Faults of the statement: bad data, a violated constraint, a bad statement. All else (08, 53, 57, 40, 25006,
// refused sockets, timeouts) means that the same request can succeed later. SQLSTATE classes, PostgreSQL appendix A.
const OURS = /^(22|23|42)/

/** Whether an error is the statement's own, so that the connection is still good and a retry would not help. */
const isOurs = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof pg.DatabaseError && OURS.test(String(error.code)))

const unavailable = (cause: unknown): unknown =>
  isOurs(cause) || cause instanceof ApiError ? cause : new ApiError('DATABASE_UNAVAILABLE', undefined, { cause })

/** @param named whether a connection keeps a statement prepared under its name, which saves parsing and planning it */
function wrap (pool: pg.Pool, named: boolean): Database {
  const run = async <Row> (client: pg.PoolClient, { name, text, values }: Statement<Row>): Promise<Row[]> =>
    (await client.query(named ? { name, text, values } : { text, values })).rows

  /** Gives the client back good only after an error that says nothing about the connection. */
  async function withClient<Result> (work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
    let client: pg.PoolClient | undefined
    try {
      client = await pool.connect()
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      // pool.query would close the connection on any error: a taken user name would cost a reconnection.
      client?.release(!isOurs(error))
      throw unavailable(error)
    }
  }

  return {
    query: async statement => await withClient(async client => await run(client, statement)),

    transaction: async work => await withClient(async client => {
      await client.query(begin)
      try {
        const result = await work({ query: async statement => await run(client, statement) })
        await client.query(commit)
        return result
      } catch (error) {
        if (isOurs(error)) await client.query(rollback)
        throw error
      }
    })
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
    fastify.decorate('db', wrap(pool, config.DATABASE_PREPARE === 'on'))
  })
}, { name: 'db', fastify: '5.x' })
