import { Type } from '@sinclair/typebox'
import { type Role, roleId, roles } from '../src/access.ts'
import { statement } from './statement.ts'

/** The SQL of a role's name. A constant list instead of a join with `roles`; a test compares it with the table. */
export const roleName = `(ARRAY[${roles.map(role => `'${role}'`).join(', ')}])[role_id]`

/**
 * The SQL of a user's role names, in the order of their ids.
 * @param user the SQL of the user's id: a column or a parameter
 */
export const selectRoles = (user: string): string => `ARRAY(
  SELECT ${roleName} FROM user_roles WHERE user_roles.user_id = ${user} ORDER BY role_id)`

const RoleName = Type.Union(roles.map(role => Type.Literal(role)))

export const Roles = Type.Array(RoleName)

/** Locks the roles of a user until the end of the transaction, so that none is revoked meanwhile. */
export const lockRoles = statement({
  name: 'lock_roles',
  text: `SELECT ${roleName} AS role FROM user_roles WHERE user_id = $1::bigint FOR SHARE`,
  values: (userId: number) => [userId],
  row: Type.Object({ role: RoleName })
})

export const UserRow = Type.Object({
  id: Type.Integer(),
  username: Type.String(),
  email: Type.String(),
  roles: Roles,
  emailVerified: Type.Boolean(),
  createdAt: Type.Date(),
  disabled: Type.Boolean()
})

/** The columns of a `UserRow`. */
export const userColumns = `users.id, username, email, ${selectRoles('users.id')} AS roles,
  email_verified_at IS NOT NULL AS "emailVerified", users.created_at AS "createdAt", disabled_at IS NOT NULL AS disabled`

export const userById = statement({
  name: 'user_by_id',
  text: `SELECT ${userColumns} FROM users WHERE id = $1::bigint`,
  values: (id: number) => [id],
  row: UserRow
})

export interface Page {
  /** last id of the previous page; 0 for the first page */
  after: number
  limit: number
}

/** A page of users by keyset, in the order of their ids. */
export const usersPage = statement({
  name: 'users_page',
  text: `SELECT ${userColumns} FROM users WHERE users.id > $1::bigint ORDER BY users.id LIMIT $2::int`,
  values: ({ after, limit }: Page) => [after, limit],
  row: UserRow
})

/**
 * A page of the users who have a role. A statement of its own, so that it uses the index by role. `users.id > $1`
 * follows from the rest, but PostgreSQL does not see that: merging both tables, it read all earlier users.
 */
export const usersPageByRole = statement({
  name: 'users_page_by_role',
  text: `SELECT ${userColumns} FROM user_roles JOIN users ON users.id = user_roles.user_id
    WHERE role_id = $3::smallint AND user_id > $1::bigint AND users.id > $1::bigint ORDER BY user_id LIMIT $2::int`,
  values: ({ after, limit }: Page, role: Role) => [after, limit, roleId(role)],
  row: UserRow
})
