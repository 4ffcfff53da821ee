import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { ApiError } from '../src/errors.ts'
import type { Queryable } from './database.ts'
import { isReserved } from './email-tokens.ts'
import { isUniqueViolation } from './errors.ts'
import { statement } from './statement.ts'

/** Whether a username or an e-mail address is taken, in any case. So is an address that its last user can restore. */
export const availability = statement({
  name: 'availability',
  text: `SELECT
    EXISTS (SELECT FROM users WHERE lower(username COLLATE "C") = lower($1::text COLLATE "C")) AS "usernameTaken",
    EXISTS (SELECT FROM users WHERE lower(email COLLATE "C") = lower($2::text COLLATE "C"))
      OR ${isReserved('$2::text')} AS "emailTaken"`,
  values: (username: string, email: string) => [username, email],
  row: Type.Object({ usernameTaken: Type.Boolean(), emailTaken: Type.Boolean() })
})

/** @throws ApiError USERNAME_TAKEN (also when both are taken) or EMAIL_TAKEN */
export async function rejectTaken (db: Queryable, username: string, email: string): Promise<void> {
  const [found] = await db.query(availability(username, email))
  if (found?.usernameTaken) throw new ApiError('USERNAME_TAKEN')
  if (found?.emailTaken) throw new ApiError('EMAIL_TAKEN')
}

export interface NewUser {
  username: string
  email: string
  passwordHash: string
  roles: readonly Role[]
  /** seconds after which the user is deleted unless the address is verified by then; kept without it */
  unverifiedTtl?: number | undefined
}

/** The author of a new user, for the audit log; `actorId` is null unless the roles required an admin. */
interface Author {
  actorId: number | null
  ip: string
}

/**
 * Creates a user with a password, roles and an audit event, in one statement and so in one transaction. Uniqueness is
 * left to the unique indexes: a check beforehand would race.
 * @throws pg.DatabaseError for which `isTaken` is true
 */
export const insertUser = statement({
  name: 'insert_user',
  text: `WITH created AS (
      INSERT INTO users (username, email, unverified_until)
      VALUES ($1::text, $2::text, now() + make_interval(secs => $8::int)) RETURNING id
    ), protected AS (
      INSERT INTO credentials (user_id, kind, data)
      SELECT created.id, 'password', jsonb_build_object('hash', $3::text) FROM created
    ), granted AS (
      INSERT INTO user_roles (user_id, role_id)
      SELECT created.id, role_id FROM created, unnest($4::smallint[]) AS role_id
    ), audited AS (
      INSERT INTO audit_events (event, user_id, actor_id, ip, detail)
      SELECT 'user_created', created.id, $5::bigint, $6::text, $7::jsonb FROM created
    )
    SELECT id FROM created`,
  values: (user: NewUser, by: Author) =>
    [
      user.username, user.email, user.passwordHash, user.roles.map(roleId), by.actorId, by.ip, { roles: user.roles },
      user.unverifiedTtl ?? null
    ],
  row: Type.Object({ id: Type.Integer() })
})

/** Whether `insertUser` failed because the username or the e-mail address is taken. */
export const isTaken = (error: unknown): boolean => isUniqueViolation(error, ['users_username_key', 'users_email_key'])
