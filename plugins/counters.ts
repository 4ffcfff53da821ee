import fp from 'fastify-plugin'
import pg from 'pg'
import { type RateLimiterAbstract, RateLimiterPostgres, RateLimiterRedis, type RateLimiterRes } from 'rate-limiter-flexible'
import type { Statement } from '../sql/statement.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { connectRedis } from '../src/redis.ts'

export interface Count {
  total: number
  /** milliseconds until the key counts from 0 again */
  msLeft: number
}

/** Counts per key; a key's count ends `duration` seconds after it began. All throw ApiError DATABASE_UNAVAILABLE. */
export interface Counter {
  /** Adds, which is atomic among all replicas. @param points may be negative, to take back */
  add (key: string, points?: number): Promise<Count>
  /** Lets a key's count stand at 1 for this many seconds from now. */
  hold (key: string, seconds: number): Promise<void>
  reset (key: string): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** A counter that all replicas share, in PostgreSQL or, with REDIS_URL, in Redis. */
    createCounter (options: { name: string, duration: number }): Counter
  }
}

export default fp<{ config: Config }>(async function counters (fastify, { config }) {
  const { db } = fastify
  /* c8 ignore start: the side of Redis is tested by npm run test:redis */
  const redis = config.REDIS_URL === undefined ? undefined : await connectRedis(config.REDIS_URL, config, fastify.log)
  if (redis) fastify.addHook('onClose', () => redis.disconnect())
  /* c8 ignore stop */

  fastify.decorate('createCounter', ({ name, duration }) => {
    const options = { keyPrefix: name, points: 1, duration }
    /* c8 ignore next */
    if (redis) return toCounter(new RateLimiterRedis({ ...options, keyPrefix: `gatehouse:${name}`, storeClient: redis }))
    return toCounter(new RateLimiterPostgres({
      ...options,
      storeType: 'pool',
      // The limiter's own statements go through `db`, and so have its faults and its deadlines.
      storeClient: { query: async (statement: Statement<unknown>) => ({ rows: await db.query(statement) }) },
      tableName: 'rate_limits',
      // Migration 0002 makes the table, housekeeping purges it.
      tableCreated: true,
      clearExpiredByTimeout: false
    }))
  })
}, { name: 'counters', fastify: '5.x', dependencies: ['db'] })

function toCounter (limiter: RateLimiterAbstract): Counter {
  const count = ({ consumedPoints, msBeforeNext }: RateLimiterRes): Count =>
    ({ total: consumedPoints, msLeft: Math.max(0, msBeforeNext) })
  const ask = async <T> (question: Promise<T>): Promise<T> => await question.catch((error: unknown) => {
    // What `db` throws says itself what it is; all else is a Redis that is away.
    /* c8 ignore start: needs a Redis */
    const isSaid = error instanceof ApiError || error instanceof pg.DatabaseError
    throw isSaid ? error : new ApiError('DATABASE_UNAVAILABLE', undefined, { cause: error })
    /* c8 ignore stop */
  })
  return {
    // Not `consume`, which rejects beyond its points: what a count means is its owner's business.
    add: async (key, points = 1) => count(await ask(limiter.penalty(key, points))),
    hold: async (key, seconds) => { await ask(limiter.set(key, 1, seconds)) },
    reset: async key => { await ask(limiter.delete(key)) }
  }
}
