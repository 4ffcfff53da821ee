import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { ApiError } from '../src/errors.ts'
import { isConflict, isStatementError } from './errors.ts'
import type { Statement } from './statement.ts'

/** Runs statements, on the pool or within a transaction. */
export interface Queryable {
  /**
   * Runs one statement. On the pool, it runs up to four times if it conflicts with another transaction.
   * @throws ApiError DATABASE_UNAVAILABLE if the server, the network or the pool failed, or the last try conflicted;
   * pg.DatabaseError if the statement did, for example by violating a constraint
   */
  query <Row> (statement: Statement<Row>): Promise<Row[]>
}

export interface Transactional extends Queryable {
  /**
   * Runs statements in one transaction (READ COMMITTED), committed when `work` resolves and rolled back when it
   * rejects. `work` may run up to four times, after conflicts with other transactions. It must change nothing but the
   * database.
   * @throws what `query` and `work` throw
   */
  transaction <Result> (work: (transaction: Queryable) => Promise<Result>): Promise<Result>
}

/** Whether the deadline of some work has passed. Then no statement is begun, and no transaction is committed. */
export type IsLate = () => boolean

export interface Database extends Transactional {
  /** @throws ApiError DEADLINE_EXCEEDED if the work is late, and what `Queryable.query` throws */
  query <Row> (statement: Statement<Row>, isLate?: IsLate): Promise<Row[]>
  /** @throws ApiError DEADLINE_EXCEEDED if the work is late, and what `Transactional.transaction` throws */
  transaction <Result> (work: (transaction: Queryable) => Promise<Result>, isLate?: IsLate): Promise<Result>
  /** Connections of the pool, idle ones among them, and requests that wait for one. */
  connections (): { total: number, idle: number, waiting: number }
}

function toDatabaseError (cause: unknown): unknown {
  if (isStatementError(cause) || cause instanceof ApiError) return cause
  return new ApiError('DATABASE_UNAVAILABLE', undefined, { cause })
}

/** Whether a connection is still usable after an error: the statement failed, or the caller gave up. */
const keepsConnection = (error: unknown): boolean =>
  isStatementError(error) || isConflict(error) || error instanceof ApiError

/** How often a transaction that conflicted with others is tried, and milliseconds of the mean pause before the next. */
const ATTEMPTS = 4
const PAUSE = 20

interface DatabaseOptions {
  /** whether a connection prepares each statement once, which saves parsing and planning it again */
  named: boolean
  /** runs each statement, by name, in a span of the trace */
  inSpan?: <Result>(name: string, work: () => Promise<Result>) => Promise<Result>
}

export function toDatabase (pool: pg.Pool, { named, inSpan }: DatabaseOptions): Database {
  const ask = async <Row> (client: pg.PoolClient, { name, text, values }: Statement<Row>): Promise<Row[]> => {
    const { rows } = await client.query<Row & pg.QueryResultRow>(named ? { name, text, values } : { text, values })
    return rows
  }
  const run: typeof ask = inSpan
    ? async (client, statement) => await inSpan(statement.name, async () => await ask(client, statement))
    : ask

  /** Runs `work` on a connection, again if it conflicted with another transaction. */
  async function withClient<Result> (work: (client: pg.PoolClient) => Promise<Result>, attempt = 1): Promise<Result> {
    try {
      return await withClientOnce(work)
    } catch (error) {
      if (!isConflict(error) || attempt === ATTEMPTS) throw toDatabaseError(error)
      // A random time, so that two transactions do not meet again.
      await sleep(Math.random() * 2 * PAUSE)
      return await withClient(work, attempt + 1)
    }
  }

  async function withClientOnce<Result> (work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
    let client: pg.PoolClient | undefined
    try {
      client = await pool.connect()
      const result = await work(client)
      client.release()
      return result
    } catch (error) {
      // pool.query() would close the connection on any error, so that a taken username would cost a reconnection.
      client?.release(!keepsConnection(error))
      throw error
    }
  }

  return {
    query: async (statement, isLate = never) => await withClient(async client => {
      rejectLate(isLate)
      return await run(client, statement)
    }),

    transaction: async (work, isLate = never) => await withClient(async client => {
      rejectLate(isLate)
      await client.query('BEGIN')
      try {
        const result = await work({
          query: async statement => {
            rejectLate(isLate)
            return await run(client, statement)
          }
        })
        rejectLate(isLate)
        await client.query('COMMIT')
        return result
      } catch (error) {
        if (keepsConnection(error)) await client.query('ROLLBACK')
        throw error
      }
    }),

    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  }
}

const never: IsLate = () => false

function rejectLate (isLate: IsLate): void {
  if (isLate()) throw new ApiError('DEADLINE_EXCEEDED')
}
