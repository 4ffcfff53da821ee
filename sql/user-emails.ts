import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

// The e-mail addresses of users, and what proves that they are theirs.

const Holder = Type.Object({
  id: Type.Integer(),
  username: Type.String(),
  email: Type.String(),
  emailVerified: Type.Boolean(),
  disabled: Type.Boolean()
})

/** The user with an address, in any case. */
export const userByEmail = statement({
  name: 'user_by_email',
  text: `SELECT id, username, email, email_verified_at IS NOT NULL AS "emailVerified",
      disabled_at IS NOT NULL AS disabled
    FROM users WHERE lower(email COLLATE "C") = lower($1::text COLLATE "C")`,
  values: (email: string) => [email],
  row: Holder
})

/** Marks the address of a user as verified. */
export const verifyEmail = statement({
  name: 'verify_email',
  text: `UPDATE users SET email_verified_at = coalesce(email_verified_at, now()), unverified_until = NULL
    WHERE id = $1::bigint`,
  values: (id: number) => [id],
  row: Type.Object({})
})

/**
 * Changes the address of a user to one that is verified.
 * @throws pg.DatabaseError for which `isTaken` is true
 */
export const changeEmail = statement({
  name: 'change_email',
  text: 'UPDATE users SET email = $2::text, email_verified_at = now(), unverified_until = NULL WHERE id = $1::bigint',
  values: (id: number, email: string) => [id, email],
  row: Type.Object({})
})
