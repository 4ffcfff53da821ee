import { Type } from '@sinclair/typebox'
import type { RefreshClaims } from '../src/refresh-token.ts'
import { statement } from './statement.ts'
import { roleNames, RoleNames } from './users.ts'

/** How the settings REFRESH_ROTATION, REFRESH_GRACE and REFRESH_IDLE_TTL act on a refresh. */
export interface RotationRules {
  /** 1 where showing a token supersedes it (strict), 0 where only showing its successor does */
  step: 0 | 1
  /** seconds for which a superseded token is still answered */
  grace: number
  /** seconds without a refresh after which a session ends; 0 is never */
  idle: number
}

// $1 user, $2 session, $3 the generation shown, $4 grace, $5 idle. The database's clock decides, so that replicas
// need not agree on the time.
const SESSION = 'user_id = $1::bigint AND id = $2::uuid'
const ALIVE = `(expires_at > now()
  AND ($5::int = 0 OR last_used_at > now() - make_interval(secs => $5::int)))`
// Ahead of the row is accepted as well: the service signed that token, so the row lost a commit in a failover.
// A generation older than superseded_at remembers gives NULL: its grace is over.
const ANSWERED = `($3::bigint >= generation OR coalesce(
  superseded_at[least(generation - $3::bigint, 9)::int] > now() - make_interval(secs => $4::int), false))`

const claims = ({ userId, sessionId, generation }: RefreshClaims, { grace, idle }: RotationRules) =>
  [userId, sessionId, generation, grace, idle]

interface NewSession {
  userId: number
  /** the hash that the password was verified with */
  passwordHash: string
  sessionId: string
  /** seconds */
  ttl: number
  ip: string
  userAgent: string | null
  /** the most sessions the user may have; the oldest beyond them end */
  most: number
}

/**
 * Opens a session. No row where the account is not as it was when its password was verified: deleted, disabled, or
 * the password changed. FOR SHARE waits for such a change under way, and makes a later one wait for this session,
 * which it then sees and ends. Ids begin with the time, so the oldest are those with the smallest.
 */
export const insertSession = statement({
  name: 'insert_session',
  text: `WITH account AS (
      SELECT id FROM users WHERE id = $1::bigint AND password_hash = $6::text AND disabled_at IS NULL FOR SHARE
    ), surplus AS (
      DELETE FROM refresh_tokens USING account WHERE user_id = $1::bigint AND refresh_tokens.id IN (
        SELECT id FROM refresh_tokens WHERE user_id = $1::bigint ORDER BY id DESC OFFSET $7::int - 1)
    )
    INSERT INTO refresh_tokens (user_id, id, expires_at, ip, user_agent)
    SELECT account.id, $2::uuid, now() + make_interval(secs => $3::int), $4::text, $5::text FROM account
    RETURNING expires_at AS "expiresAt"`,
  values: (session: NewSession) => [
    session.userId, session.sessionId, session.ttl, session.ip, session.userAgent, session.passwordHash, session.most
  ],
  row: Type.Object({ expiresAt: Type.Date() })
})

/**
 * A refresh: one conditional UPDATE, so that of any number of concurrent refreshes each sees what the one before it
 * left (a SELECT followed by an UPDATE lets most of them win). No indexed column changes: the update is HOT. The
 * same token shown again changes only last_used_at. No row means: refused, and `endRefusedSession` says why.
 */
export const rotateSession = statement({
  name: 'rotate_session',
  text: `UPDATE refresh_tokens SET
      generation = greatest(generation, $3::bigint + $6::int),
      superseded_at = CASE WHEN $3::bigint + $6::int > generation
        THEN (array_fill(now(), ARRAY[least($3::bigint + $6::int - generation, 8)::int]) || superseded_at)[1:8]
        ELSE superseded_at END,
      last_used_at = now()
    WHERE ${SESSION} AND ${ALIVE} AND ${ANSWERED}
    RETURNING generation, expires_at AS "expiresAt", ${roleNames('$1::bigint')} AS roles`,
  values: (shown: RefreshClaims, rules: RotationRules) => [...claims(shown, rules), rules.step],
  row: Type.Object({ generation: Type.Integer(), expiresAt: Type.Date(), roles: RoleNames })
})

/**
 * Ends the session of a token that `rotateSession` refused, under the same conditions, so that a session which
 * became good in between is left alone. `expired` false is reuse: the token was superseded and its grace is over
 * (RFC 9700 §4.14.2).
 */
export const endRefusedSession = statement({
  name: 'end_refused_session',
  text: `DELETE FROM refresh_tokens WHERE ${SESSION} AND NOT (${ALIVE} AND ${ANSWERED})
    RETURNING NOT ${ALIVE} AS expired`,
  values: claims,
  row: Type.Object({ expired: Type.Boolean() })
})

/** A user's live sessions, the newest first. */
export const sessionsOf = statement({
  name: 'sessions_of',
  text: `SELECT id, created_at AS "createdAt", last_used_at AS "lastUsedAt", expires_at AS "expiresAt", ip,
      user_agent AS "userAgent"
    FROM refresh_tokens WHERE user_id = $1::bigint AND expires_at > now() ORDER BY id DESC`,
  values: (userId: number) => [userId],
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

/** Ends all sessions of a user, but for the one to keep if there is one. */
export const endSessions = statement({
  name: 'end_sessions',
  text: 'DELETE FROM refresh_tokens WHERE user_id = $1::bigint AND id IS DISTINCT FROM $2::uuid RETURNING id',
  values: (userId: number, keep: string | null = null) => [userId, keep],
  row: ended
})
