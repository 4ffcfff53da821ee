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
  createdAt: Type.Date(),
  disabled: Type.Boolean()
})

const ACCOUNT = `users.id, username, email, ${roleNames('users.id')} AS roles, users.created_at AS "createdAt",
  disabled_at IS NOT NULL AS disabled`

export const userById = statement({
  name: 'user_by_id',
  text: `SELECT ${ACCOUNT} FROM users WHERE id = $1::bigint`,
  values: (id: number) => [id],
  row: Account
})

/** Who made a change, for the audit trail; null where nobody was signed in. */
export interface Author {
  actorId: number | null
  ip: string
}

interface Page {
  /** the last id of the page before; 0 for the first page */
  after: number
  limit: number
  /** a part of the name or the address, in any case; empty for all */
  search: string
}

// strpos rather than LIKE: what is searched for has no wildcards. Without an index: a page stops as soon as it is full.
const FOUND = `($3::text = '' OR strpos(lower(username COLLATE "C"), lower($3::text COLLATE "C")) > 0
  OR strpos(lower(email COLLATE "C"), lower($3::text COLLATE "C")) > 0)`

/** A page of accounts by keyset, in the order of their ids. */
export const usersPage = statement({
  name: 'users_page',
  text: `SELECT ${ACCOUNT} FROM users WHERE users.id > $1::bigint AND ${FOUND} ORDER BY users.id LIMIT $2::int`,
  values: ({ after, limit, search }: Page) => [after, limit, search],
  row: Account
})

/** The same, of those with a role: a statement of its own, so that it is read from the index by role. */
export const usersPageByRole = statement({
  name: 'users_page_by_role',
  text: `SELECT ${ACCOUNT} FROM user_roles JOIN users ON users.id = user_roles.user_id
    WHERE role_id = $4::smallint AND user_id > $1::bigint AND ${FOUND} ORDER BY user_id LIMIT $2::int`,
  values: ({ after, limit, search }: Page, role: Role) => [after, limit, search, roleId(role)],
  row: Account
})

/** For sign-in: the account with its password hash, by a name in any case. */
export const credentialsByUsername = statement({
  name: 'credentials_by_username',
  text: `SELECT id, username, email, ${roleNames('users.id')} AS roles, password_hash AS "passwordHash",
      disabled_at IS NOT NULL AS disabled
    FROM users WHERE lower(username COLLATE "C") = lower($1::text COLLATE "C")`,
  values: (username: string) => [username],
  row: Type.Object({
    id: Type.Integer(),
    username: Type.String(),
    email: Type.String(),
    roles: RoleNames,
    passwordHash: Type.String(),
    disabled: Type.Boolean()
  })
})

/** For a signed-in user who has to show the password again. */
export const credentialsById = statement({
  name: 'credentials_by_id',
  text: 'SELECT id, username, email, password_hash AS "passwordHash" FROM users WHERE id = $1::bigint',
  values: (id: number) => [id],
  row: Type.Object({ id: Type.Integer(), username: Type.String(), email: Type.String(), passwordHash: Type.String() })
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
 * Makes a user with its roles and its line in the audit trail, in one statement and so one transaction. A taken name or address is left to the
 * unique indexes (23505), which cannot race as a check beforehand would.
 */
export const insertUser = statement({
  name: 'insert_user',
  text: `WITH made AS (
      INSERT INTO users (username, email, password_hash) VALUES ($1::text, $2::text, $3::text) RETURNING id
    ), granted AS (
      INSERT INTO user_roles (user_id, role_id) SELECT made.id, role_id FROM made, unnest($4::smallint[]) AS role_id
    ), audited AS (
      INSERT INTO audit_events (event, user_id, actor_id, ip, detail)
      SELECT 'user_created', made.id, $5::bigint, $6::text, $7::jsonb FROM made
    )
    SELECT id FROM made`,
  values: (user: { username: string, email: string, passwordHash: string, roles: readonly Role[] }, by: Author) =>
    [user.username, user.email, user.passwordHash, user.roles.map(roleId), by.actorId, by.ip, { roles: user.roles }],
  row: Type.Object({ id: Type.Integer() })
})

/** Replaces a hash by a stronger one of the same password; not if the password was changed meanwhile. */
export const upgradePasswordHash = statement({
  name: 'upgrade_password_hash',
  text: 'UPDATE users SET password_hash = $3::text WHERE id = $1::bigint AND password_hash = $2::text',
  values: (id: number, from: string, to: string) => [id, from, to],
  row: Type.Object({})
})
