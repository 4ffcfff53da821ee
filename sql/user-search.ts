import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { statement } from './statement.ts'
import { type Page, userColumns, UserRow } from './users.ts'

/** Whether the index of searches can be used: it exists, and its creation has succeeded. */
export const searchIndex = statement({
  name: 'search_index',
  text: `SELECT EXISTS (
    SELECT FROM pg_index WHERE indexrelid = to_regclass('users_search_idx') AND indisvalid) AS "isUsable"`,
  values: () => [],
  row: Type.Object({ isUsable: Type.Boolean() })
})

/** Users that are read before the index is. A page of a text that one user in a hundred has is full by then. */
const SCANNED = 2000

/** The text of which search_keys() has the runs of three characters; see migration 0010. */
const SEARCHED = '\'  \' || lower(username COLLATE "C") || \'  \' || lower(email COLLATE "C")'

/**
 * The SQL of a search: the matches among the next users, then those beyond, bucket by bucket.
 *
 * Only the four rarest runs of the text, as counted among 500 scanned users, are looked up: a run that most users have
 * excludes few, and is slow to read. This affects no result: the users found are compared with the whole text.
 *
 * The parts and the buckets are in the order of ids, and the result is not sorted, because that would take all
 * matches. PostgreSQL keeps the order, although it does not promise to: the parts of UNION ALL and the loop of a join
 * with LATERAL run in turn, and no plan is parallel, because search_keys() is not PARALLEL SAFE.
 *
 * OFFSET 0 keeps PostgreSQL from reading a bucket by the primary key. The second condition of the index repeats a part
 * of the first. PostgreSQL assumes that one user in 200 meets a condition with an unknown list, and would compile the
 * statement (JIT) for that many users; it expects few to meet two.
 * @param users the SQL of the users in question, ascending
 * @param condition of the users that the index finds
 */
const searchText = (users: string, condition: string): string => `WITH RECURSIVE scanned AS MATERIALIZED (
    SELECT *, ${SEARCHED} AS searched FROM (${users} LIMIT ${SCANNED}) AS users
  ), runs AS MATERIALIZED (
    SELECT (ascii(run) << 14) | (ascii(substr(run, 2, 1)) << 7) | ascii(substr(run, 3, 1)) AS code
    FROM (
      SELECT DISTINCT substr($3::text, place, 3) AS run FROM generate_series(1, length($3::text) - 2) AS place
    ) AS given
    ORDER BY (SELECT count(*) FROM (SELECT searched FROM scanned LIMIT 500) AS sample WHERE strpos(searched, run) > 0)
    LIMIT 4
  ), last AS MATERIALIZED (
    SELECT id FROM scanned OFFSET ${SCANNED - 1}
  ), buckets AS (
    SELECT (SELECT min(id) >> 15 FROM users WHERE id > (SELECT id FROM last)) AS bucket
    UNION ALL
    SELECT (SELECT min(id) >> 15 FROM users WHERE id >= (bucket + 1) << 15) FROM buckets WHERE bucket IS NOT NULL
  )
  SELECT ${userColumns} FROM scanned AS users WHERE strpos(searched, $3::text) > 0
  UNION ALL
  SELECT ${userColumns} FROM buckets CROSS JOIN LATERAL (
    SELECT * FROM (
      SELECT *, ${SEARCHED} AS searched FROM users
      WHERE search_keys(id, username, email) @> ARRAY(SELECT (bucket << 21) | code FROM runs)
        AND search_keys(id, username, email) @> ARRAY(SELECT (bucket << 21) | code FROM runs LIMIT 1)
      OFFSET 0
    ) AS users
    WHERE id > (SELECT id FROM last) AND strpos(searched, $3::text) > 0 AND ${condition}
    ORDER BY id LIMIT $2::int
  ) AS users
  LIMIT $2::int`

/** The text that is searched for. One or two characters have no run of three, so they match beginnings. */
function toSearched (text: string): string {
  const lower = text.toLowerCase()
  return lower.length < 3 ? `  ${lower}` : lower
}

/** A page of the users whose username or e-mail address has a text, in any case. Needs `searchIndex`. */
export const searchUsers = statement({
  name: 'search_users',
  text: searchText('SELECT * FROM users WHERE id > $1::bigint ORDER BY id', 'true'),
  values: ({ after, limit }: Page, text: string) => [after, limit, toSearched(text)],
  row: UserRow
})

/**
 * The same of the users who have a role. OFFSET 0, because PostgreSQL could otherwise read all users. The condition is
 * a scalar subquery, because PostgreSQL could join EXISTS, and so read all holders of the role for each bucket.
 */
export const searchUsersByRole = statement({
  name: 'search_users_by_role',
  text: searchText(`SELECT users.* FROM user_roles
      CROSS JOIN LATERAL (SELECT * FROM users WHERE id = user_id OFFSET 0) AS users
      WHERE role_id = $4::smallint AND user_id > $1::bigint ORDER BY user_id`,
  '(SELECT true FROM user_roles WHERE user_id = id AND role_id = $4::smallint)'),
  values: ({ after, limit }: Page, text: string, role: Role) => [after, limit, toSearched(text), roleId(role)],
  row: UserRow
})

/** The users with exactly this username or e-mail address, in any case; at most two. */
export const usersByName = statement({
  name: 'users_by_name',
  text: `SELECT ${userColumns} FROM users
    WHERE (lower(username COLLATE "C") = lower($3::text COLLATE "C")
        OR lower(email COLLATE "C") = lower($3::text COLLATE "C"))
      AND users.id > $1::bigint
      AND ($4::smallint IS NULL OR EXISTS (SELECT FROM user_roles WHERE user_id = users.id AND role_id = $4::smallint))
    ORDER BY users.id LIMIT $2::int`,
  values: ({ after, limit }: Page, text: string, role?: Role) => [after, limit, text, role ? roleId(role) : null],
  row: UserRow
})
