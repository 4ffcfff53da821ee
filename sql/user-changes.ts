import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { statement } from './statement.ts'
import { UserRow, userColumns } from './users.ts'

// Statements of the transactions that change a user.

/**
 * Serialises the changes that could remove an admin, so that two admins who demote each other are handled one after
 * the other. Foreign keys to the row do not wait: they lock it FOR KEY SHARE.
 */
export const lockAdminRole = statement({
  name: 'lock_admin_role',
  text: 'SELECT id FROM roles WHERE id = $1::smallint FOR NO KEY UPDATE',
  values: () => [roleId('admin')],
  row: Type.Object({ id: Type.Integer() })
})

/**
 * Locks a user until the end of the transaction. `isLastAdmin`: no other enabled user is an admin. The role is no
 * parameter: PostgreSQL takes an unknown role to be an average one, and reads all of `user_roles` for an admin.
 */
export const lockUser = statement({
  name: 'lock_user',
  text: `SELECT ${userColumns},
      disabled_at IS NULL
        AND EXISTS (SELECT FROM user_roles WHERE role_id = ${roleId('admin')} AND user_id = users.id)
        AND NOT EXISTS (SELECT FROM user_roles JOIN users AS other ON other.id = user_id
          WHERE role_id = ${roleId('admin')} AND user_id <> users.id AND other.disabled_at IS NULL) AS "isLastAdmin"
    FROM users WHERE id = $1::bigint FOR NO KEY UPDATE OF users`,
  values: (id: number) => [id],
  row: Type.Object({ ...UserRow.properties, isLastAdmin: Type.Boolean() })
})

/** Gives a user exactly these roles. The rows of roles that the user keeps are not touched. */
export const replaceRoles = statement({
  name: 'replace_roles',
  text: `WITH revoked AS (
      DELETE FROM user_roles WHERE user_id = $1::bigint AND role_id <> ALL ($2::smallint[])
    )
    INSERT INTO user_roles (user_id, role_id) SELECT $1::bigint, role_id FROM unnest($2::smallint[]) AS role_id
    ON CONFLICT DO NOTHING`,
  values: (id: number, roles: readonly Role[]) => [id, roles.map(roleId)],
  row: Type.Object({})
})

/** Disables or enables a user. Triggers end the sessions, API keys, tokens and challenges of a disabled user. */
export const setDisabled = statement({
  name: 'set_disabled',
  text: `UPDATE users SET disabled_at = CASE WHEN $2::boolean THEN coalesce(disabled_at, now()) END
    WHERE id = $1::bigint`,
  values: (id: number, disabled: boolean) => [id, disabled],
  row: Type.Object({})
})

/** Deletes a user and, by foreign key, everything of the user but audit events and mails, which a trigger drops. */
export const deleteUser = statement({
  name: 'delete_user',
  text: 'DELETE FROM users WHERE id = $1::bigint',
  values: (id: number) => [id],
  row: Type.Object({})
})
