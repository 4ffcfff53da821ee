import { Type } from '@sinclair/typebox'
import type { RefreshClaims } from '../src/tokens/refresh-token.ts'
import { AUTHENTICATION, expiryOf, SessionRow } from './sessions.ts'
import { statement } from './statement.ts'
import { selectRoles } from './users.ts'

/** How REFRESH_ROTATION, REFRESH_GRACE and REFRESH_IDLE_TTL affect a refresh. */
export interface RotationRules {
  /** 1: presenting a token supersedes it (strict); 0: presenting its successor does (lenient) */
  step: 0 | 1
  /** seconds for which a superseded token is still accepted */
  grace: number
  /** seconds without a refresh after which a session expires; 0 disables it */
  idle: number
}

// $1 user, $2 session, $3 generation of the presented token, $4 grace, $5 idle. Times are compared by the clock of the
// database, so that replicas need not agree on the time.
const SESSION = 'user_id = $1::bigint AND id = $2::uuid'
const ALIVE = `(${expiryOf('$5::int')} > now())`
// With lenient rotation, the first use of a successor is one ahead of the row. Further ahead, the service signed the
// token, so a failover lost the row's last commits.
// superseded_at covers 8 generations. For an older one the element is NULL, and the token counts as reused, even within
// its grace.
const ACCEPTED = `($3::bigint >= generation OR coalesce(
  superseded_at[least(generation - $3::bigint, 9)::int] > now() - make_interval(secs => $4::int), false))`

const parameters = ({ userId, sessionId, generation }: RefreshClaims, { grace, idle }: RotationRules) =>
  [userId, sessionId, generation, grace, idle]

/**
 * A refresh, as one conditional UPDATE: of concurrent refreshes, each sees the result of the one before. (A SELECT
 * followed by an UPDATE let 18 of 20 succeed.) No indexed column changes, so the update is HOT. Presenting the same
 * token again only changes last_used_at. A disabled user has a session only if it was inserted by hand. If there
 * is no row, the token is rejected, and `endRejectedSession` returns the reason.
 */
export const rotateSession = statement({
  name: 'rotate_session',
  text: `UPDATE refresh_tokens SET
      generation = greatest(generation, $3::bigint + $6::int),
      superseded_at = CASE WHEN $3::bigint + $6::int > generation
        THEN (array_fill(now(), ARRAY[least($3::bigint + $6::int - generation, 8)::int]) || superseded_at)[1:8]
        ELSE superseded_at END,
      last_used_at = now()
    WHERE ${SESSION} AND ${ALIVE} AND ${ACCEPTED}
      AND EXISTS (SELECT FROM users WHERE users.id = $1::bigint AND disabled_at IS NULL)
    RETURNING generation, expires_at AS "expiresAt", ${AUTHENTICATION}, ${selectRoles('$1::bigint')} AS roles`,
  values: (presented: RefreshClaims, rules: RotationRules) => [...parameters(presented, rules), rules.step],
  row: Type.Object({ ...SessionRow.properties, generation: Type.Integer() })
})

/**
 * Ends the session of a token that `rotateSession` rejected. It repeats the conditions, so that a session that became
 * valid in the meantime is kept. If `expired` is false, the token was reused after its grace (RFC 9700 §4.14.2).
 */
export const endRejectedSession = statement({
  name: 'end_rejected_session',
  text: `DELETE FROM refresh_tokens WHERE ${SESSION} AND NOT (${ALIVE} AND ${ACCEPTED})
    RETURNING NOT ${ALIVE} AS expired`,
  values: parameters,
  row: Type.Object({ expired: Type.Boolean() })
})

/**
 * The session of a refresh token that `rotateSession` would accept. Returns no row for any other. Changes nothing.
 */
export const acceptedSession = statement({
  name: 'accepted_session',
  text: `SELECT username, refresh_tokens.created_at AS "createdAt", ${expiryOf('$5::int')} AS "expiresAt"
    FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE user_id = $1::bigint AND refresh_tokens.id = $2::uuid AND ${ALIVE} AND ${ACCEPTED} AND disabled_at IS NULL`,
  values: parameters,
  row: Type.Object({ username: Type.String(), createdAt: Type.Date(), expiresAt: Type.Date() })
})
