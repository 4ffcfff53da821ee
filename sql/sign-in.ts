import type { Authentication } from '../src/tokens/authentication.ts'
import type { CredentialVersion } from './credentials.ts'
import { AUTHENTICATION, expiryOf, SessionRow } from './sessions.ts'
import { statement } from './statement.ts'
import { selectRoles } from './users.ts'

// What follows the verification of a credential: a session is opened, or the current one renewed.

/**
 * The SQL that finds the user whose credential was verified, unless the user was deleted or disabled, or the credential
 * changed, since. $1 user, $2 credential, $3 its version.
 * @param locks wait for such a change in progress, and make a later one wait for the session, which it then ends. The
 * user is locked first, as in every other transaction.
 */
const verified = (locks: string) => `SELECT users.id FROM users JOIN credentials ON user_id = users.id
      WHERE users.id = $1::bigint AND user_id = $1::bigint AND credentials.id = $2::uuid AND version = $3::int
        AND disabled_at IS NULL
      ${locks}`

interface NewSession extends Pick<Authentication, 'amr'> {
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
 * Opens a session, and returns its state. Returns no row if `verified` finds none. The credential's lock is the one
 * that setting last_used_at needs: two sign-ins that shared a weaker one would deadlock. Session ids begin with the
 * time, so the oldest sessions have the smallest ids. The network becomes a known one. Most sign-ins of a day change
 * neither that nor last_used_at.
 */
export const insertSession = statement({
  name: 'insert_session',
  text: `WITH verified AS (
      ${verified('FOR SHARE OF users FOR NO KEY UPDATE OF credentials')}
    ), used AS (
      UPDATE credentials SET last_used_at = now() FROM verified
      WHERE user_id = $1::bigint AND credentials.id = $2::uuid
        AND coalesce(last_used_at < now() - interval '1 day', true)
    ), surplus AS (
      DELETE FROM refresh_tokens USING verified WHERE user_id = $1::bigint AND refresh_tokens.id IN (
        SELECT id FROM refresh_tokens WHERE user_id = $1::bigint ORDER BY id DESC OFFSET $8::int - 1)
    ), known AS (
      INSERT INTO known_networks (user_id, network) SELECT verified.id, $9::text FROM verified
      ON CONFLICT (user_id, network) DO UPDATE SET last_seen_at = now()
        WHERE known_networks.last_seen_at < now() - interval '1 day'
    )
    INSERT INTO refresh_tokens (user_id, id, expires_at, ip, user_agent, amr)
    SELECT verified.id, $4::uuid, now() + make_interval(secs => $5::int), $6::text, $7::text, $10::text[] FROM verified
    RETURNING expires_at AS "expiresAt", ${AUTHENTICATION}, ${selectRoles('$1::bigint')} AS roles`,
  values: ({ userId, credentialId, version }: CredentialVersion, session: NewSession) => [
    userId, credentialId, version, session.sessionId, session.ttl, session.ip, session.userAgent, session.maxSessions,
    session.network, session.amr
  ],
  row: SessionRow
})

/**
 * Records that the user of a session has authenticated again, and returns the session's state. Returns no row if
 * `verified` finds none, or the session ended. No indexed column changes, so the update is HOT.
 * @param idle as for `liveSession`
 */
export const renewSession = statement({
  name: 'renew_session',
  text: `WITH verified AS (
      ${verified('FOR SHARE OF users, credentials')}
    )
    UPDATE refresh_tokens SET authenticated_at = now(), amr = $5::text[] FROM verified
    WHERE user_id = $1::bigint AND refresh_tokens.id = $4::uuid AND ${expiryOf('$6::int')} > now()
    RETURNING expires_at AS "expiresAt", ${AUTHENTICATION}, ${selectRoles('$1::bigint')} AS roles`,
  values: (
    { userId, credentialId, version }: CredentialVersion,
    { sessionId, amr, idle }: Pick<Authentication, 'amr'> & { sessionId: string, idle: number }
  ) => [userId, credentialId, version, sessionId, amr, idle],
  row: SessionRow
})
