import { Type } from '@sinclair/typebox'
import { NETWORK_KEPT } from './credentials.ts'
import { statement } from './statement.ts'

// An arbitrary number that nothing else in the database locks: the letters "hous".
const LOCK = 0x686f7573

// One replica purges at a time. The statements of the others match no row.
const LOCKED = `(SELECT pg_try_advisory_xact_lock(${LOCK}))`

/**
 * The SQL that deletes up to $1 rows. Rows that another transaction has locked are skipped.
 * @param condition the SQL of which rows; $2 is its parameter, if it has one
 */
const purge = (table: string, condition: string, order: string) => `WITH purged AS (
    DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${table} WHERE ${condition} AND ${LOCKED} ORDER BY ${order} LIMIT $1::int FOR UPDATE SKIP LOCKED))
    RETURNING 1
  )
  SELECT count(*)::int AS count FROM purged`

const row = Type.Object({ count: Type.Integer() })

/** Deletes up to `batch` expired sessions. */
export const purgeSessions = statement({
  name: 'purge_sessions',
  text: purge('refresh_tokens', 'expires_at <= now()', 'expires_at'),
  values: (batch: number) => [batch],
  row
})

/** Deletes up to `batch` expired API keys. */
export const purgeKeys = statement({
  name: 'purge_keys',
  text: purge('api_keys', 'expires_at <= now()', 'expires_at'),
  values: (batch: number) => [batch],
  row
})

/** Deletes up to `batch` expired counters. The cast is needed: an index of bigint is not used for a numeric value. */
export const purgeCounters = statement({
  name: 'purge_counters',
  text: purge('rate_limits', 'expire <= (extract(epoch FROM now()) * 1000)::bigint', 'expire'),
  values: (batch: number) => [batch],
  row
})

/** Deletes a counter that was taken back to 0, unless it was increased again. */
export const deleteZeroCounter = statement({
  name: 'delete_zero_counter',
  text: 'DELETE FROM rate_limits WHERE key = $1::text AND points <= 0',
  values: (key: string) => [key],
  row: Type.Object({})
})

/** Deletes up to `batch` networks that are no longer known. */
export const purgeNetworks = statement({
  name: 'purge_networks',
  text: purge('known_networks', `last_seen_at <= now() - ${NETWORK_KEPT}`, 'last_seen_at'),
  values: (batch: number) => [batch],
  row
})

/** Deletes up to `batch` audit events that are older than a number of days, at least 90. The trigger rejects others. */
export const purgeAuditEvents = statement({
  name: 'purge_audit_events',
  text: purge('audit_events', 'created_at <= now() - make_interval(days => greatest($2::int, 90))', 'created_at'),
  values: (batch: number, days: number) => [batch, days],
  row
})

/**
 * Deletes up to `batch` mails: a day after they were queued if they were sent or dropped, and after 7 days if they have
 * failed. No mail is attempted for longer than a day.
 */
export const purgeMails = statement({
  name: 'purge_mails',
  text: purge('mails', `created_at <= now() - interval '1 day'
    AND (sent_at IS NOT NULL OR dropped_at IS NOT NULL OR created_at <= now() - interval '7 days')`, 'created_at'),
  values: (batch: number) => [batch],
  row
})

/** Deletes up to `batch` expired tokens of mails. */
export const purgeEmailTokens = statement({
  name: 'purge_email_tokens',
  text: purge('email_tokens', 'expires_at <= now()', 'expires_at'),
  values: (batch: number) => [batch],
  row
})

/** Deletes up to `batch` expired challenges. */
export const purgeChallenges = statement({
  name: 'purge_challenges',
  text: purge('challenges', 'expires_at <= now()', 'expires_at'),
  values: (batch: number) => [batch],
  row
})

/**
 * Deletes up to `batch` users who have not verified their address in time, with an audit event each. Users who were
 * given a role since are kept. OFFSET 0, because PostgreSQL may otherwise read all roles to join them.
 */
export const purgeUnverifiedUsers = statement({
  name: 'purge_unverified_users',
  text: `WITH purged AS (
    DELETE FROM users WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM users WHERE unverified_until <= now() AND ${LOCKED}
        AND NOT EXISTS (SELECT FROM user_roles WHERE user_id = users.id AND role_id <> 1 OFFSET 0)
      ORDER BY unverified_until LIMIT $1::int FOR UPDATE SKIP LOCKED))
    RETURNING id
  ), audited AS (
    INSERT INTO audit_events (event, user_id, detail) SELECT 'user_deleted', id, '{"unverified": true}' FROM purged
  )
  SELECT count(*)::int AS count FROM purged`,
  values: (batch: number) => [batch],
  row
})
