import { Type } from '@sinclair/typebox'
import { AuthenticationMethods } from '../src/tokens/authentication.ts'
import { hasSecondFactor } from './credentials.ts'
import { statement } from './statement.ts'
import { selectRoles, Roles } from './users.ts'

// One row of `refresh_tokens` is one session. sql/sign-in.ts has the statements that open and renew one, and
// sql/rotation.ts those of a refresh.

/** The SQL of when and how the user of a session, $1, last authenticated. */
export const AUTHENTICATION = `authenticated_at AS "authenticatedAt", amr, ${hasSecondFactor('$1::bigint')}`

/** The row of a session that access tokens are issued for. */
export const SessionRow = Type.Object({
  expiresAt: Type.Date(),
  authenticatedAt: Type.Date(),
  amr: AuthenticationMethods,
  hasSecondFactor: Type.Boolean(),
  roles: Roles
})

/**
 * The SQL of when a session expires: at its end or, with an idle time, that long after its last refresh.
 * @param idle the SQL of the idle time in seconds; 0 for none
 */
export const expiryOf = (idle: string) =>
  `CASE ${idle} WHEN 0 THEN expires_at ELSE least(expires_at, last_used_at + make_interval(secs => ${idle})) END`

/**
 * The current state of a session. Returns no row if it ended, or its user is disabled or deleted.
 * @param idle seconds without a refresh after which a session expires; 0 disables it
 */
export const liveSession = statement({
  name: 'live_session',
  text: `SELECT username, ${expiryOf('$3::int')} AS "expiresAt", ${AUTHENTICATION},
      ${selectRoles('$1::bigint')} AS roles
    FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE user_id = $1::bigint AND refresh_tokens.id = $2::uuid AND ${expiryOf('$3::int')} > now()
      AND disabled_at IS NULL`,
  values: (userId: number, sessionId: string, idle: number) => [userId, sessionId, idle],
  row: Type.Object({ ...SessionRow.properties, username: Type.String() })
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

/** Ends every session of a user but one. */
export const endOtherSessions = statement({
  name: 'end_other_sessions',
  text: 'DELETE FROM refresh_tokens WHERE user_id = $1::bigint AND id <> $2::uuid RETURNING id',
  values: (userId: number, sessionId: string) => [userId, sessionId],
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
