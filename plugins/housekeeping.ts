import fp from 'fastify-plugin'
import {
  purgeAuditEvents, purgeChallenges, purgeCounters, purgeEmailTokens, purgeKeys, purgeMails, purgeNetworks,
  purgeSessions, purgeUnverifiedUsers
} from '../sql/housekeeping.ts'
import { pause } from '../src/backoff.ts'
import type { Config } from '../src/config/read-settings.ts'

/** Rows per statement: few enough that no request waits noticeably for their locks. */
const BATCH = 500

/** Deleting a user also deletes the rows of seven tables that refer to it, and a sign-up with the same name waits. */
const USERS = 50

/** Milliseconds between two statements, so that requests take precedence. */
const PAUSE = 50

declare module 'fastify' {
  interface FastifyInstance {
    /** Deletes what has expired. @returns the number of rows */
    purge (): Promise<number>
  }
}

export default fp<{ config: Config }>(async function housekeeping (fastify, { config }) {
  const stopped = new AbortController()

  const statements = [
    purgeSessions, purgeKeys, purgeCounters, purgeNetworks, purgeMails, purgeEmailTokens, purgeChallenges
  ].map(build => ({ statement: build(BATCH), batch: BATCH }))
  if (config.EMAIL_VERIFICATION === 'required') {
    statements.push({ statement: purgeUnverifiedUsers(USERS), batch: USERS })
  }
  if (config.AUDIT_RETENTION > 0) {
    statements.push({ statement: purgeAuditEvents(BATCH, config.AUDIT_RETENTION), batch: BATCH })
  }

  async function purge (): Promise<number> {
    let total = 0
    for (const { statement, batch } of statements) {
      let count = batch
      while (count === batch && !stopped.signal.aborted) {
        [{ count } = { count: 0 }] = await fastify.db.query(statement)
        total += count
        if (count === batch) await pause(PAUSE, stopped.signal)
      }
    }
    return total
  }

  async function run (): Promise<void> {
    while (!stopped.signal.aborted) {
      await pause(config.HOUSEKEEPING_INTERVAL * 1000, stopped.signal)
      if (stopped.signal.aborted) return
      try {
        const rows = await purge()
        if (rows > 0) fastify.log.debug({ rows }, 'purged expired rows')
      } catch (error) {
        // The next run retries.
        fastify.log.warn({ err: error }, 'purge failed')
      }
    }
  }

  fastify.decorate('purge', purge)
  if (config.HOUSEKEEPING_INTERVAL === 0) return
  const running = run()
  // Runs before the pool closes: onClose hooks run in reverse order of registration.
  fastify.addHook('onClose', async () => {
    stopped.abort()
    await running
  })
}, { name: 'housekeeping', fastify: '5.x', dependencies: ['db'] })
