import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'
import { Roles, selectRoles } from './users.ts'

/**
 * A page of all users with their password hashes, by keyset, in the order of their ids. OFFSET 0, because PostgreSQL
 * otherwise merges users with credentials, and reads those of all earlier users for each page.
 */
export const exportPage = statement({
  name: 'export_page',
  text: `SELECT users.id, username, email, email_verified_at IS NOT NULL AS "emailVerified", data ->> 'hash' AS password,
      ${selectRoles('users.id')} AS roles,
      to_char(users.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created,
      disabled_at IS NOT NULL AS disabled
    FROM users LEFT JOIN LATERAL (
      SELECT data FROM credentials WHERE user_id = users.id AND kind = 'password' OFFSET 0) AS credentials ON true
    WHERE users.id > $1::bigint ORDER BY users.id LIMIT $2::int`,
  values: ({ after, limit }: { after: number, limit: number }) => [after, limit],
  row: Type.Object({
    id: Type.Integer(),
    username: Type.String(),
    email: Type.String(),
    emailVerified: Type.Boolean(),
    password: Type.Union([Type.String(), Type.Null()]),
    roles: Roles,
    created: Type.String(),
    disabled: Type.Boolean()
  })
})
