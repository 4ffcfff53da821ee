import fp from 'fastify-plugin'
import pg from 'pg'
import {
  type RateLimiterAbstract, RateLimiterPostgres, RateLimiterRedis, type RateLimiterRes
} from 'rate-limiter-flexible'
import { deleteZeroCounter } from '../sql/housekeeping.ts'
import type { Statement } from '../sql/statement.ts'
import { ApiError } from '../src/errors.ts'

interface Count {
  total: number
  /** milliseconds until the key's count restarts at 0 */
  msLeft: number
}

/**
 * Counts per key. A key's count restarts `duration` seconds after it began.
 * @throws ApiError DATABASE_UNAVAILABLE
 */
export interface Counter {
  /** Adds atomically across replicas. @param points negative to take back */
  add (key: string, points?: number): Promise<Count>
  /** Sets a key's count to 1 for a number of seconds from now. */
  hold (key: string, seconds: number): Promise<void>
  reset (key: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Creates a counter that all replicas share, in PostgreSQL or, with REDIS_URL, in Redis. */
    createCounter (options: { name: string, duration: number }): Counter
  }
}

// Redis runs a script without interruption.
const DELETE_ZERO = 'if tonumber(redis.call("get", KEYS[1]) or "0") <= 0 then return redis.call("del", KEYS[1]) end'

export default fp(async function counters (fastify) {
  const { db, redis } = fastify

  fastify.decorate('createCounter', ({ name, duration }) => {
    const options = { keyPrefix: name, points: 1, duration }
    /* c8 ignore start: test/redis/redis.test.ts covers it */
    if (redis) {
      const limiter = new RateLimiterRedis({ ...options, keyPrefix: `gatehouse:${name}`, storeClient: redis })
      return toCounter(limiter, async key => await redis.eval(DELETE_ZERO, 1, limiter.getKey(key)))
    }
    /* c8 ignore stop */
    const limiter = new RateLimiterPostgres({
      ...options,
      storeType: 'pool',
      // Runs the limiter's statements through `db`, with its deadlines and its errors.
      storeClient: { query: async (statement: Statement<unknown>) => ({ rows: await db.query(statement) }) },
      tableName: 'rate_limits',
      // Migration 0002 creates the table, and housekeeping purges it.
      tableCreated: true,
      clearExpiredByTimeout: false
    })
    return toCounter(limiter, async key => await db.query(deleteZeroCounter(limiter.getKey(key))))
  })
}, { name: 'counters', fastify: '5.x', dependencies: ['db', 'redis'] })

/** @param deleteZero deletes a key whose count is 0, in one step */
function toCounter (limiter: RateLimiterAbstract, deleteZero: (key: string) => Promise<unknown>): Counter {
  const toCount = ({ consumedPoints, msBeforeNext }: RateLimiterRes): Count =>
    ({ total: consumedPoints, msLeft: Math.max(0, msBeforeNext) })
  const ask = async <T> (pending: Promise<T>): Promise<T> => await pending.catch((error: unknown) => {
    // Errors of `db` are complete. Any other error is one of Redis.
    /* c8 ignore start: test/redis/redis.test.ts covers it */
    const isComplete = error instanceof ApiError || error instanceof pg.DatabaseError
    throw isComplete ? error : new ApiError('DATABASE_UNAVAILABLE', undefined, { cause: error })
    /* c8 ignore stop */
  })
  return {
    // penalty() rather than consume(), which rejects beyond `points`: the caller decides what a count means.
    async add (key, points = 1) {
      const count = toCount(await ask(limiter.penalty(key, points)))
      if (count.total <= 0) await ask(deleteZero(key))
      return count
    },
    hold: async (key, seconds) => { await ask(limiter.set(key, 1, seconds)) },
    reset: async key => { await ask(limiter.delete(key)) }
  }
}
