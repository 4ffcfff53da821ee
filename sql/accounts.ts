import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { statement } from './statement.ts'
import { roleNames, RoleNames } from './users.ts'

// Statements of transactions that change an account.

/**
 * Lets the changes that could cost an admin wait for each other, so that two admins who demote each other are
 * judged one after the other. Foreign keys to the row (FOR KEY SHARE) do not wait.
 */
export const lockAdmins = statement({
  name: 'lock_admins',
  text: 'SELECT id FROM roles WHERE id = $1::smallint FOR NO KEY UPDATE',
  values: () => [roleId('admin')],
  row: Type.Object({ id: Type.Integer() })
})

/** An account, held until the end of the transaction; `isLastAdmin` where no other enabled account is an admin. */
export const lockAccount = statement({
  name: 'lock_account',
  text: `SELECT id, username, email, ${roleNames('users.id')} AS roles, created_at AS "createdAt",
      disabled_at IS NOT NULL AS disabled, password_hash AS "passwordHash",
      disabled_at IS NULL
        AND EXISTS (SELECT FROM user_roles WHERE role_id = $2::smallint AND user_id = users.id)
        AND NOT EXISTS (SELECT FROM user_roles JOIN users AS other ON other.id = user_id
          WHERE role_id = $2::smallint AND user_id <> users.id AND other.disabled_at IS NULL) AS "isLastAdmin"
    FROM users WHERE id = $1::bigint FOR NO KEY UPDATE OF users`,
  values: (id: number) => [id, roleId('admin')],
  row: Type.Object({
    id: Type.Integer(),
    username: Type.String(),
    email: Type.String(),
    roles: RoleNames,
    createdAt: Type.Date(),
    disabled: Type.Boolean(),
    passwordHash: Type.String(),
    isLastAdmin: Type.Boolean()
  })
})

/** Gives an account exactly these roles; those it keeps are left as they are. */
export const replaceRoles = statement({
  name: 'replace_roles',
  text: `WITH taken AS (
      DELETE FROM user_roles WHERE user_id = $1::bigint AND role_id <> ALL ($2::smallint[])
    )
    INSERT INTO user_roles (user_id, role_id) SELECT $1::bigint, role_id FROM unnest($2::smallint[]) AS role_id
    ON CONFLICT DO NOTHING`,
  values: (id: number, roles: readonly Role[]) => [id, roles.map(roleId)],
  row: Type.Object({})
})

/** Disabling ends the account's sessions, by the trigger `end_sessions`. */
export const setDisabled = statement({
  name: 'set_disabled',
  text: 'UPDATE users SET disabled_at = CASE WHEN $2::boolean THEN coalesce(disabled_at, now()) END WHERE id = $1::bigint',
  values: (id: number, disabled: boolean) => [id, disabled],
  row: Type.Object({})
})

/** Sessions and roles go with it, by their foreign keys. */
export const deleteUser = statement({
  name: 'delete_user',
  text: 'DELETE FROM users WHERE id = $1::bigint',
  values: (id: number) => [id],
  row: Type.Object({})
})

/** Replaces a password's hash; no row where it is no longer the one that was verified. */
export const changePasswordHash = statement({
  name: 'change_password_hash',
  text: 'UPDATE users SET password_hash = $3::text WHERE id = $1::bigint AND password_hash = $2::text RETURNING id',
  values: (id: number, verified: string, next: string) => [id, verified, next],
  row: Type.Object({ id: Type.Integer() })
})
