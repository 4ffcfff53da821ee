import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

// Any number that nothing else in the database locks; these are the letters "hous".
const LOCK = 0x686f7573

// One replica at a time: whoever holds the lock works, the others' statements find nothing to do.
const MY_TURN = `(SELECT pg_try_advisory_xact_lock(${LOCK}))`

const purged = Type.Object({ count: Type.Integer() })

/**
 * Deletes up to `batch` sessions that are over by their own time; what is in use at the moment waits for the next run.
 */
export const purgeSessions = statement({
  name: 'purge_sessions',
  text: `WITH gone AS (
      DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM refresh_tokens WHERE expires_at <= now() AND ${MY_TURN}
        ORDER BY expires_at LIMIT $1::int FOR UPDATE SKIP LOCKED))
      RETURNING 1
    )
    SELECT count(*)::int AS count FROM gone`,
  values: (batch: number) => [batch],
  row: purged
})

/** Deletes up to `batch` counters of limits whose time is over. */
export const purgeCounters = statement({
  name: 'purge_counters',
  text: `WITH gone AS (
      DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM rate_limits WHERE expire <= extract(epoch FROM now()) * 1000 AND ${MY_TURN}
        ORDER BY expire LIMIT $1::int FOR UPDATE SKIP LOCKED))
      RETURNING 1
    )
    SELECT count(*)::int AS count FROM gone`,
  values: (batch: number) => [batch],
  row: purged
})
