import type pg from 'pg'

/** Rows of each table that have expired, and as many that have not. They belong to the users 1 to 10. */
export const EXPIRED = 2000

const rows = `FROM generate_series(1, ${EXPIRED}) AS n, unnest(ARRAY[-1, 1]) AS side`

/** In the past for one half of the rows, in the future for the other. */
const around = (unit: string) => `now() + side * interval '1 ${unit}'`

/** Where a row is purged a time after it was made: long ago for one half of the rows. */
const since = (age: string) => `now() - CASE side WHEN -1 THEN interval '${age}' ELSE interval '0' END`

/** One of the networks that a user, by id, has not signed in from for too long. */
export function expiredNetwork (userId: number): string {
  const n = userId - 1 + 10 * Math.floor(1 + Math.random() * (EXPIRED / 10 - 1))
  return `10.0.${Math.floor(n / 250)}.${n % 250}`
}

/** Fills every table that housekeeping purges. */
export async function addExpired (client: pg.Client): Promise<void> {
  for (const text of [
    `INSERT INTO refresh_tokens (user_id, id, created_at, expires_at, ip)
      SELECT 1 + n % 10, gen_random_uuid(), now() - interval '2 days', ${around('day')}, '127.0.0.1' ${rows}`,
    `INSERT INTO api_keys (user_id, id, name, secret_hash, role_ids, created_at, expires_at)
      SELECT 1 + n % 10, gen_random_uuid(), 'key', repeat('a', 43), '{1}', now() - interval '2 days', ${around('day')}
      ${rows}`,
    `INSERT INTO rate_limits (key, points, expire)
      SELECT side || 'counter' || n, 1, (extract(epoch FROM ${around('hour')}) * 1000)::bigint ${rows}`,
    `INSERT INTO known_networks (user_id, network, last_seen_at)
      SELECT 1 + n % 10, '10.' || side + 1 || '.' || n / 250 || '.' || n % 250, ${since('31 days')} ${rows}`,
    `INSERT INTO mails (kind, recipient, created_at, sent_at)
      SELECT 'email-taken', 'user' || n || '@example.com', ${since('2 days')}, now() ${rows}`,
    `INSERT INTO email_tokens (user_id, token_hash, purpose, email, requested_at, expires_at)
      SELECT 1 + n % 10, side + 1 || lpad(n::text, 42, '0'), 'undo', 'former' || n || '@example.com', now(), ${around('day')}
      ${rows}`,
    `INSERT INTO challenges (hash, type, user_id, expires_at)
      SELECT side + 1 || lpad(n::text, 42, '0'), 'reauthentication', 1 + n % 10, ${around('minute')} ${rows}`,
    `INSERT INTO audit_events (event, user_id, created_at) SELECT 'user_created', 1 + n % 10, ${since('91 days')} ${rows}`,
    `INSERT INTO users (username, email, unverified_until)
      SELECT 'late' || side + 1 || '-' || n, side + 1 || 'late' || n || '@example.com', ${around('day')} ${rows}`,
    'INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM users WHERE unverified_until IS NOT NULL'
  ]) await client.query(text)
  await client.query('VACUUM ANALYZE')
}
