import pg from 'pg'
import { ApiError } from '../src/errors.ts'
import { inSpan } from '../src/spans.ts'
import { type Statement } from './statement.ts'
import { begin, commit, rollback } from './transaction.ts'

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
  /** Connections of the pool, those of them that are idle, and requests that wait for one. */
  connections (): { total: number, idle: number, waiting: number }
}

// Faults of the statement: bad data, a violated constraint, a bad statement. All else (08, 53, 57, 40, 25006,
// refused sockets, timeouts) means that the same request can succeed later. SQLSTATE classes, PostgreSQL appendix A.
const OURS = /^(22|23|42)/

/** Whether an error is the statement's own, so that the connection is still good and a retry would not help. */
export const isOurs = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof pg.DatabaseError && OURS.test(String(error.code)))

const unavailable = (cause: unknown): unknown =>
  isOurs(cause) || cause instanceof ApiError ? cause : new ApiError('DATABASE_UNAVAILABLE', undefined, { cause })

interface Manner {
  /** whether a connection keeps a statement prepared under its name, which saves parsing and planning it */
  named: boolean
  /** whether each statement is a span of a trace */
  traced: boolean
}

export function toDatabase (pool: pg.Pool, { named, traced }: Manner): Database {
  const ask = async <Row> (client: pg.PoolClient, { name, text, values }: Statement<Row>): Promise<Row[]> =>
    (await client.query(named ? { name, text, values } : { text, values })).rows
  const run: typeof ask = traced ? async (client, statement) => await inSpan(statement.name, async () => await ask(client, statement)) : ask

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
    }),

    connections: () => ({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount })
  }
}
