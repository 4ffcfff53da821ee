import { Type } from '@sinclair/typebox'
import { type Purpose, purposes } from '../src/tokens/email-secrets.ts'
import { statement } from './statement.ts'

// One row of `email_tokens` is one mail: its link, and the code in it. What a token is for takes place in a transaction
// that locks the user, then drops the mails that have yet to be sent, and only then deletes tokens. In this order, a
// mail that is being prepared meanwhile leaves no new token behind, and the two do not deadlock.

interface NewToken {
  userId: number
  purpose: Purpose
  tokenHash: string
  /** null if the mail has no code */
  codeHash: string | null
  /** the address that the mail goes to */
  email: string
  mailId: string
  /** seconds */
  ttl: number
}

/**
 * Stores the token of a mail. It replaces an earlier one for the same purpose, unless that belongs to a later mail,
 * which overtook this one: then no row is returned, nor for a user who is disabled. Another attempt to send a mail
 * allows no further tries of its code.
 */
export const storeToken = statement({
  name: 'store_token',
  text: `INSERT INTO email_tokens (user_id, purpose, token_hash, code_hash, email, requested_at, expires_at)
    SELECT users.id, $2::text, $3::text, $4::text, $5::text, mails.created_at, now() + make_interval(secs => $7::int)
    FROM users, mails WHERE users.id = $1::bigint AND disabled_at IS NULL AND mails.id = $6::uuid
    ON CONFLICT (user_id, purpose) WHERE purpose <> 'undo' DO UPDATE SET
      token_hash = excluded.token_hash, code_hash = excluded.code_hash, email = excluded.email,
      requested_at = excluded.requested_at, expires_at = excluded.expires_at, created_at = now(),
      attempts = CASE WHEN email_tokens.token_hash = excluded.token_hash THEN email_tokens.attempts ELSE 0 END
    WHERE email_tokens.requested_at <= excluded.requested_at
    RETURNING user_id AS "userId"`,
  values: ({ userId, purpose, tokenHash, codeHash, email, mailId, ttl }: NewToken) =>
    [userId, purpose, tokenHash, codeHash, email, mailId, ttl],
  row: Type.Object({ userId: Type.Integer() })
})

const Found = Type.Object({
  userId: Type.Integer(),
  tokenHash: Type.String(),
  email: Type.String(),
  purpose: Type.Union(purposes.map(purpose => Type.Literal(purpose)))
})

/** A token that was presented and is still valid. */
export const findToken = statement({
  name: 'find_token',
  text: `SELECT user_id AS "userId", token_hash AS "tokenHash", email, purpose FROM email_tokens
    WHERE token_hash = $1::text AND purpose = ANY ($2::text[]) AND expires_at > now()`,
  values: (tokenHash: string, accepted: readonly Purpose[]) => [tokenHash, accepted],
  row: Found
})

/**
 * Counts a try of the codes that were sent to an address, and returns those that have not been tried five times. The
 * try is counted before the code is compared, so that parallel tries are counted too. The commit does not wait for the
 * disk: an address without a code has nothing to write, and the time must not tell.
 */
export const tryCodes = statement({
  name: 'try_codes',
  text: `UPDATE email_tokens SET attempts = attempts + 1
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS asynchronous
    WHERE lower(email COLLATE "C") = lower($1::text COLLATE "C") AND purpose = ANY ($2::text[]) AND expires_at > now()
      AND attempts < 5 AND code_hash IS NOT NULL
    RETURNING user_id AS "userId", token_hash AS "tokenHash", email, purpose, code_hash AS "codeHash"`,
  values: (email: string, accepted: readonly Purpose[]) => [email, accepted],
  row: Type.Object({ ...Found.properties, codeHash: Type.String() })
})

/** Uses a token. Of concurrent transactions one gets the row. */
export const takeToken = statement({
  name: 'take_token',
  text: `DELETE FROM email_tokens WHERE user_id = $1::bigint AND token_hash = $2::text AND expires_at > now()
    RETURNING purpose`,
  values: (userId: number, tokenHash: string) => [userId, tokenHash],
  row: Type.Object({ purpose: Type.String() })
})

/**
 * Deletes the tokens of a user. Those that undo a change of the address are usually kept: otherwise whoever took over a
 * user by a change could void them by a password reset.
 */
export const deleteTokens = statement({
  name: 'delete_tokens',
  text: 'DELETE FROM email_tokens WHERE user_id = $1::bigint AND (purpose <> \'undo\' OR $2::boolean)',
  values: (userId: number, { undo }: { undo: boolean }) => [userId, undo],
  row: Type.Object({})
})
