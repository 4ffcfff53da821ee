import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { statement } from './statement.ts'

/** A user of another service. */
export interface ImportedUser {
  id: number
  username: string
  email: string
  emailVerified: boolean
  /** a hash; null if the user has no password */
  password: string | null
  roles: readonly Role[]
  /** in ISO 8601, at most to the microsecond; undefined for now */
  created: string | undefined
  disabled: boolean
}

/** The folding of usernames and e-mail addresses, which have ASCII letters only. */
export const fold = (text: string): string => text.toLowerCase()

/** The users who have the id, the username or the e-mail address of one of these, in any case. */
export const existingUsers = statement({
  name: 'existing_users',
  text: `SELECT id, username, email FROM users WHERE id = ANY ($1::bigint[])
    UNION SELECT id, username, email FROM users WHERE lower(username COLLATE "C") = ANY ($2::text[])
    UNION SELECT id, username, email FROM users WHERE lower(email COLLATE "C") = ANY ($3::text[])`,
  values: (users: readonly ImportedUser[]) =>
    [users.map(({ id }) => id), users.map(({ username }) => fold(username)), users.map(({ email }) => fold(email))],
  row: Type.Object({ id: Type.Integer(), username: Type.String(), email: Type.String() })
})

/**
 * Advances the sequence of ids to an id, so that later sign-ups get higher ones. Never sets it back. A new sequence
 * returns its first value instead of the next one.
 */
export const advanceUserIds = statement({
  name: 'advance_user_ids',
  text: `SELECT setval('users_id_seq', $1::bigint) AS id FROM users_id_seq
    WHERE last_value < $1::bigint OR (last_value = $1::bigint AND NOT is_called)`,
  values: (id: number) => [id],
  row: Type.Object({ id: Type.Integer() })
})

/**
 * Creates users with their passwords, roles and audit events, in one statement and so in one transaction. Returns the
 * ids of those that were created. The id, username or e-mail address of the others is taken.
 */
export const importUsers = statement({
  name: 'import_users',
  text: `WITH imported AS (
      SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::boolean[],
          $7::boolean[], $8::text[])
        AS imported (id, username, email, hash, created_at, disabled, verified, detail)
    ), created AS (
      INSERT INTO users (id, username, email, created_at, disabled_at, email_verified_at) OVERRIDING SYSTEM VALUE
      SELECT id, username, email, coalesce(created_at, now()), CASE WHEN disabled THEN now() END,
        CASE WHEN verified THEN now() END
      FROM imported
      ON CONFLICT DO NOTHING RETURNING id
    ), protected AS (
      INSERT INTO credentials (user_id, kind, data)
      SELECT id, 'password', jsonb_build_object('hash', hash) FROM created JOIN imported USING (id)
      WHERE hash IS NOT NULL
    ), granted AS (
      INSERT INTO user_roles (user_id, role_id)
      SELECT user_id, role_id FROM unnest($9::bigint[], $10::smallint[]) AS granted (user_id, role_id)
      JOIN created ON created.id = user_id
    ), audited AS (
      INSERT INTO audit_events (event, user_id, detail)
      SELECT 'user_created', id, detail::jsonb FROM created JOIN imported USING (id)
    )
    SELECT id FROM created`,
  values (users: readonly ImportedUser[]) {
    const granted = users.flatMap(({ id, roles }) => roles.map(role => [id, roleId(role)] as const))
    return [
      users.map(({ id }) => id),
      users.map(({ username }) => username),
      users.map(({ email }) => email),
      users.map(({ password }) => password),
      users.map(({ created }) => created),
      users.map(({ disabled }) => disabled),
      users.map(({ emailVerified }) => emailVerified),
      users.map(({ roles }) => JSON.stringify({ roles, imported: true })),
      granted.map(([id]) => id),
      granted.map(([, role]) => role)
    ]
  },
  row: Type.Object({ id: Type.Integer() })
})
