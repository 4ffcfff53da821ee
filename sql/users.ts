import { Type } from '@sinclair/typebox'
import { type Role, roleId, roles } from '../src/access.ts'
import { statement } from './statement.ts'

/**
 * The SQL of a user's roles by name, in the order of their ids. The names stand in the statement as a constant list
 * instead of a join with `roles`, three rows known to both sides; a test compares the list with the table.
 * @param user the SQL of the user's id: a column or a parameter
 */
export const roleNames = (user: string): string => `ARRAY(
  SELECT (ARRAY[${roles.map(role => `'${role}'`).join(', ')}])[role_id]
  FROM user_roles WHERE user_roles.user_id = ${user} ORDER BY role_id)`

export const RoleNames = Type.Array(Type.Union(roles.map(role => Type.Literal(role))))

const Account = Type.Object({
  id: Type.Integer(),
  username: Type.String(),
  email: Type.String(),
  roles: RoleNames,
  createdAt: Type.Date()
})

export const userById = statement({
  name: 'user_by_id',
  text: `SELECT id, username, email, ${roleNames('users.id')} AS roles, created_at AS "createdAt"
    FROM users WHERE id = $1::bigint`,
  values: (id: number) => [id],
  row: Account
})

/** For sign-in: the account with its password hash, by a name in any case. */
export const credentialsByUsername = statement({
  name: 'credentials_by_username',
  text: `SELECT id, username, email, ${roleNames('users.id')} AS roles, password_hash AS "passwordHash"
    FROM users WHERE lower(username COLLATE "C") = lower($1::text COLLATE "C")`,
  values: (username: string) => [username],
  row: Type.Object({
    id: Type.Integer(),
    username: Type.String(),
    email: Type.String(),
    roles: RoleNames,
    passwordHash: Type.String()
  })
})

/** Which of the two is taken, in any case. */
export const availability = statement({
  name: 'availability',
  text: `SELECT
    EXISTS (SELECT FROM users WHERE lower(username COLLATE "C") = lower($1::text COLLATE "C")) AS "usernameTaken",
    EXISTS (SELECT FROM users WHERE lower(email COLLATE "C") = lower($2::text COLLATE "C")) AS "emailTaken"`,
  values: (username: string, email: string) => [username, email],
  row: Type.Object({ usernameTaken: Type.Boolean(), emailTaken: Type.Boolean() })
})

/**
 * Makes a user with its roles, in one statement and so one transaction. A taken name or address is left to the
 * unique indexes (23505), which cannot race as a check beforehand would.
 */
export const insertUser = statement({
  name: 'insert_user',
  text: `WITH made AS (
      INSERT INTO users (username, email, password_hash) VALUES ($1::text, $2::text, $3::text) RETURNING id
    ), granted AS (
      INSERT INTO user_roles (user_id, role_id) SELECT made.id, role_id FROM made, unnest($4::smallint[]) AS role_id
    )
    SELECT id FROM made`,
  values: (user: { username: string, email: string, passwordHash: string, roles: readonly Role[] }) =>
    [user.username, user.email, user.passwordHash, user.roles.map(roleId)],
  row: Type.Object({ id: Type.Integer() })
})

/** Replaces a hash by a stronger one of the same password; not if the password was changed meanwhile. */
export const upgradePasswordHash = statement({
  name: 'upgrade_password_hash',
  text: 'UPDATE users SET password_hash = $3::text WHERE id = $1::bigint AND password_hash = $2::text',
  values: (id: number, from: string, to: string) => [id, from, to],
  row: Type.Object({})
})
