import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

// An arbitrary number that nothing else in the database locks: the letters "hous".
const LOCK = 0x686f7573

// One replica purges at a time. The statements of the others match no row.
const LOCKED = `(SELECT pg_try_advisory_xact_lock(${LOCK}))`

const purged = Type.Object({ count: Type.Integer() })

/** Deletes up to `batch` expired sessions. Rows that another transaction has locked are skipped. */
export const purgeSessions = statement({
  name: 'purge_sessions',
  text: `WITH purged AS (
      DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM refresh_tokens WHERE expires_at <= now() AND ${LOCKED}
        ORDER BY expires_at LIMIT $1::int FOR UPDATE SKIP LOCKED))
      RETURNING 1
    )
    SELECT count(*)::int AS count FROM purged`,
  values: (batch: number) => [batch],
  row: purged
})

/** Deletes up to `batch` expired counters. */
export const purgeCounters = statement({
  name: 'purge_counters',
  text: `WITH purged AS (
      DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM rate_limits WHERE expire <= extract(epoch FROM now()) * 1000 AND ${LOCKED}
        ORDER BY expire LIMIT $1::int FOR UPDATE SKIP LOCKED))
      RETURNING 1
    )
    SELECT count(*)::int AS count FROM purged`,
  values: (batch: number) => [batch],
  row: purged
})
