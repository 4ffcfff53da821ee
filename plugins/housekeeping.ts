import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { purgeCounters, purgeSessions } from '../sql/housekeeping.ts'
import type { Config } from '../src/config.ts'

/** Rows of one statement, few enough that no request waits for it noticeably. */
const BATCH = 500

/** Between two statements, in milliseconds, so that requests come first. */
const BREATH = 50

declare module 'fastify' {
  interface FastifyInstance {
    /** Purges what is over: expired sessions and counters. @returns how many rows */
    purge (): Promise<number>
  }
}

export default fp<{ config: Config }>(async function housekeeping (fastify, { config }) {
  const stopped = new AbortController()
  const pause = async (ms: number) => await sleep(ms, undefined, { signal: stopped.signal, ref: false }).catch(() => {})

  async function purge (): Promise<number> {
    let total = 0
    for (const statement of [purgeSessions(BATCH), purgeCounters(BATCH)]) {
      let count = BATCH
      while (count === BATCH && !stopped.signal.aborted) {
        [{ count } = { count: 0 }] = await fastify.db.query(statement)
        total += count
        if (count === BATCH) await pause(BREATH)
      }
    }
    return total
  }

  async function run (): Promise<void> {
    while (!stopped.signal.aborted) {
      await pause(config.HOUSEKEEPING_INTERVAL * 1000)
      if (stopped.signal.aborted) return
      try {
        const rows = await purge()
        if (rows > 0) fastify.log.debug({ rows }, 'purged what is over')
      } catch (error) {
        // The next run will do as well.
        fastify.log.warn({ err: error }, 'purging failed')
      }
    }
  }

  fastify.decorate('purge', purge)
  if (config.HOUSEKEEPING_INTERVAL === 0) return
  const running = run()
  // Before the pool is closed: hooks run in the reverse of the order of their plugins.
  fastify.addHook('onClose', async () => {
    stopped.abort()
    await running
  })
}, { name: 'housekeeping', fastify: '5.x', dependencies: ['db'] })
