import { Type } from '@sinclair/typebox'
import type { CredentialVersion } from './credentials.ts'
import { statement } from './statement.ts'
import { selectRoles, Roles } from './users.ts'

// One row of `refresh_tokens` is one session. sql/rotation.ts has the statements of a refresh.

interface NewSession {
  sessionId: string
  /** seconds */
  ttl: number
  ip: string
  /** the network of the address */
  network: string
  userAgent: string | null
  /** maximum number of sessions of the user; the oldest ones beyond it end */
  maxSessions: number
}

/**
 * Opens a session, and returns the roles that the user has by then. Returns no row if the user was deleted or disabled,
 * or the credential changed, since the credential was verified. The locks wait for such a change in progress, and make
 * a later one wait for this session, which it then ends. The user is locked first, as in every other transaction. The
 * lock on the credential is the one that setting last_used_at needs: two sign-ins that shared a weaker one would
 * deadlock. Session ids begin with the time, so the oldest sessions have the smallest ids. The network becomes a known
 * one. Most sign-ins of a day change neither that nor last_used_at.
 */
export const insertSession = statement({
  name: 'insert_session',
  text: `WITH verified AS (
      SELECT users.id FROM users JOIN credentials ON user_id = users.id
      WHERE users.id = $1::bigint AND user_id = $1::bigint AND credentials.id = $6::uuid AND version = $9::int
        AND disabled_at IS NULL
      FOR SHARE OF users FOR NO KEY UPDATE OF credentials
    ), used AS (
      UPDATE credentials SET last_used_at = now() FROM verified
      WHERE user_id = $1::bigint AND credentials.id = $6::uuid
        AND coalesce(last_used_at < now() - interval '1 day', true)
    ), surplus AS (
      DELETE FROM refresh_tokens USING verified WHERE user_id = $1::bigint AND refresh_tokens.id IN (
        SELECT id FROM refresh_tokens WHERE user_id = $1::bigint ORDER BY id DESC OFFSET $7::int - 1)
    ), known AS (
      INSERT INTO known_networks (user_id, network) SELECT verified.id, $8::text FROM verified
      ON CONFLICT (user_id, network) DO UPDATE SET last_seen_at = now()
        WHERE known_networks.last_seen_at < now() - interval '1 day'
    )
    INSERT INTO refresh_tokens (user_id, id, expires_at, ip, user_agent)
    SELECT verified.id, $2::uuid, now() + make_interval(secs => $3::int), $4::text, $5::text FROM verified
    RETURNING expires_at AS "expiresAt", ${selectRoles('$1::bigint')} AS roles`,
  values: ({ userId, credentialId, version }: CredentialVersion, session: NewSession) => [
    userId, session.sessionId, session.ttl, session.ip, session.userAgent, credentialId, session.maxSessions,
    session.network, version
  ],
  row: Type.Object({ expiresAt: Type.Date(), roles: Roles })
})

/**
 * The SQL of when a session expires: at its end or, with an idle time, that long after its last refresh.
 * @param idle the SQL of the idle time in seconds; 0 for none
 */
export const expiryOf = (idle: string) =>
  `CASE ${idle} WHEN 0 THEN expires_at ELSE least(expires_at, last_used_at + make_interval(secs => ${idle})) END`

/**
 * The current roles and the expiry of a session. Returns no row if it ended, or its user is disabled or deleted.
 * @param idle seconds without a refresh after which a session expires; 0 disables it
 */
export const liveSession = statement({
  name: 'live_session',
  text: `SELECT ${expiryOf('$3::int')} AS "expiresAt", ${selectRoles('$1::bigint')} AS roles
    FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE user_id = $1::bigint AND refresh_tokens.id = $2::uuid AND ${expiryOf('$3::int')} > now()
      AND disabled_at IS NULL`,
  values: (userId: number, sessionId: string, idle: number) => [userId, sessionId, idle],
  row: Type.Object({ expiresAt: Type.Date(), roles: Roles })
})

/**
 * Locks the user and the session of a request until the end of the transaction, the user first, as every other
 * transaction does. Returns no row if the session ended, or its user is disabled or deleted. An idle session is left to
 * the guard, which has just admitted it.
 */
export const lockCaller = statement({
  name: 'lock_caller',
  text: `SELECT users.id FROM users JOIN refresh_tokens ON refresh_tokens.user_id = users.id
    WHERE users.id = $1::bigint AND refresh_tokens.user_id = $1::bigint AND refresh_tokens.id = $2::uuid
      AND expires_at > now() AND disabled_at IS NULL
    FOR NO KEY UPDATE OF users FOR SHARE OF refresh_tokens`,
  values: (userId: number, sessionId: string) => [userId, sessionId],
  row: Type.Object({ id: Type.Integer() })
})

/** A user's live sessions, newest first. @param idle as for `liveSession` */
export const sessionsOf = statement({
  name: 'sessions_of',
  text: `SELECT id, created_at AS "createdAt", last_used_at AS "lastUsedAt", ${expiryOf('$2::int')} AS "expiresAt", ip,
      user_agent AS "userAgent"
    FROM refresh_tokens WHERE user_id = $1::bigint AND ${expiryOf('$2::int')} > now() ORDER BY id DESC`,
  values: (userId: number, idle: number) => [userId, idle],
  row: Type.Object({
    id: Type.String(),
    createdAt: Type.Date(),
    lastUsedAt: Type.Date(),
    expiresAt: Type.Date(),
    ip: Type.String(),
    userAgent: Type.Union([Type.String(), Type.Null()])
  })
})

const ended = Type.Object({ id: Type.String() })

export const endSession = statement({
  name: 'end_session',
  text: 'DELETE FROM refresh_tokens WHERE user_id = $1::bigint AND id = $2::uuid RETURNING id',
  values: (userId: number, sessionId: string) => [userId, sessionId],
  row: ended
})

/** Ends every session of a user. */
export const endSessions = statement({
  name: 'end_sessions',
  text: 'DELETE FROM refresh_tokens WHERE user_id = $1::bigint RETURNING id',
  values: (userId: number) => [userId],
  row: ended
})

/** Ends up to `batch` sessions of any users. */
export const endSomeSessions = statement({
  name: 'end_some_sessions',
  text: `DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(SELECT ctid FROM refresh_tokens LIMIT $1::int FOR UPDATE))
    RETURNING id`,
  values: (batch: number) => [batch],
  row: ended
})
