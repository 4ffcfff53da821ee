import { Type } from '@sinclair/typebox'
import { type Purpose, purposes } from '../src/tokens/email-secrets.ts'
import { statement } from './statement.ts'

// One row of `email_tokens` is one mail: its link, and the code in it. A token is used in a transaction that locks the
// user, then drops the mails that have yet to be sent, and only then deletes tokens. In this order, a mail that is
// being prepared meanwhile leaves no new token behind.

interface NewToken {
  userId: number
  tokenHash: string
  /** the address that the mail goes to */
  email: string
  /** seconds */
  ttl: number
}

interface NewCode extends NewToken {
  purpose: Exclude<Purpose, 'undo'>
  codeHash: string
  mailId: string
}

/**
 * Stores the token and the code of a mail. They replace earlier ones for the same purpose, unless those belong to a
 * later mail, which overtook this one: then no row is returned, nor for a user who is disabled.
 */
export const storeToken = statement({
  name: 'store_token',
  text: `INSERT INTO email_tokens (user_id, purpose, token_hash, code_hash, email, requested_at, expires_at)
    SELECT users.id, $2::text, $3::text, $4::text, $5::text, mails.created_at, now() + make_interval(secs => $7::int)
    FROM users, mails WHERE users.id = $1::bigint AND disabled_at IS NULL AND mails.id = $6::uuid
    ON CONFLICT (user_id, purpose) WHERE purpose <> 'undo' DO UPDATE SET
      token_hash = excluded.token_hash, code_hash = excluded.code_hash, email = excluded.email,
      requested_at = excluded.requested_at, expires_at = excluded.expires_at, created_at = now()
    WHERE email_tokens.requested_at <= excluded.requested_at
    RETURNING user_id AS "userId"`,
  values: ({ userId, purpose, tokenHash, codeHash, email, mailId, ttl }: NewCode) =>
    [userId, purpose, tokenHash, codeHash, email, mailId, ttl],
  row: Type.Object({ userId: Type.Integer() })
})

/**
 * Stores the token that undoes a change of the address, in the transaction of the change. While it is valid, nobody
 * else can take the former address.
 */
export const storeUndoToken = statement({
  name: 'store_undo_token',
  text: `INSERT INTO email_tokens (user_id, purpose, token_hash, email, requested_at, expires_at)
    VALUES ($1::bigint, 'undo', $2::text, $3::text, now(), now() + make_interval(secs => $4::int))`,
  values: ({ userId, tokenHash, email, ttl }: NewToken) => [userId, tokenHash, email, ttl],
  row: Type.Object({})
})

/** The SQL of whether an address, in any case, can be restored by a user. @param email the SQL of the address */
export const isReserved = (email: string) => `EXISTS (SELECT FROM email_tokens WHERE purpose = 'undo'
    AND lower(email COLLATE "C") = lower(${email} COLLATE "C") AND expires_at > now())`

/** The user who can restore an address, in any case. */
export const undoHolder = statement({
  name: 'undo_holder',
  text: `SELECT user_id AS "userId" FROM email_tokens WHERE purpose = 'undo'
    AND lower(email COLLATE "C") = lower($1::text COLLATE "C") AND expires_at > now()`,
  values: (email: string) => [email],
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
 * The newest code of each purpose that was sent to an address, in any case, and is still valid. Any number of users can
 * ask to change to the same address: with all of their codes, a guess would be right as many times as often.
 */
export const codesOf = statement({
  name: 'codes_of',
  text: `SELECT DISTINCT ON (purpose) user_id AS "userId", token_hash AS "tokenHash", email, purpose,
      code_hash AS "codeHash"
    FROM email_tokens
    WHERE lower(email COLLATE "C") = lower($1::text COLLATE "C") AND purpose = ANY ($2::text[]) AND expires_at > now()
      AND code_hash IS NOT NULL
    ORDER BY purpose, requested_at DESC`,
  values: (email: string, accepted: readonly Purpose[]) => [email, accepted],
  row: Type.Object({ ...Found.properties, codeHash: Type.String() })
})

/** Uses a token. Of concurrent transactions one gets the row. */
export const takeToken = statement({
  name: 'take_token',
  text: `DELETE FROM email_tokens WHERE user_id = $1::bigint AND token_hash = $2::text AND expires_at > now()
    RETURNING created_at AS "createdAt"`,
  values: (userId: number, tokenHash: string) => [userId, tokenHash],
  row: Type.Object({ createdAt: Type.Date() })
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
