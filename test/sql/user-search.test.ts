import pg from 'pg'
import { type Test, test } from 'tap'
import { searchUsers, searchUsersByRole } from '../../sql/user-search.ts'
import { type Role, roleId } from '../../src/access.ts'
import { createDatabase } from '../support/app.ts'
import { explain, scansOf } from '../support/plans.ts'

/** The last is the highest id that an imported user can have. The first 2,000 are scanned. */
const IDS = [
  ...Array.from({ length: 2100 }, (_, index) => index + 1), 32_767, 32_768, 40_000, 65_536, 10_000_000, 2 ** 52
]

interface TestUser {
  id: number
  username: string
  email: string
  roles: Role[]
}

const USERS = IDS.map((id, index): TestUser => ({
  id,
  username: `${['Anna', 'bob', 'Christopher'][index % 3]}.berg_${id}`,
  email: `${id}${index % 5 === 0 ? '%x' : '-y'}@${index % 700 === 0 ? 'Example.org' : 'example.com'}`,
  roles: ['user', ...index % 2 === 0 ? ['moderator'] as const : [], ...index % 150 === 0 ? ['admin'] as const : []]
}))

async function fill (t: Test): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query(`INSERT INTO users (id, username, email) OVERRIDING SYSTEM VALUE
    SELECT * FROM json_to_recordset($1) AS given (id bigint, username text, email text)`, [JSON.stringify(USERS)])
  await client.query('INSERT INTO user_roles (user_id, role_id) SELECT * FROM unnest($1::bigint[], $2::int[])', [
    USERS.flatMap(({ id, roles }) => roles.map(() => id)), USERS.flatMap(({ roles }) => roles.map(roleId))
  ])
  await client.query('VACUUM ANALYZE')
  // Reading all of a small table would be faster.
  await client.query('SET enable_seqscan = off')
  return client
}

const search = (text: string, role: Role | undefined, after: number, limit: number) =>
  role ? searchUsersByRole({ after, limit }, text, role) : searchUsers({ after, limit }, text)

function isMatch ({ username, email }: TestUser, text: string): boolean {
  const [names, part] = [[username, email].map(name => name.toLowerCase()), text.toLowerCase()]
  return names.some(name => part.length < 3 ? name.startsWith(part) : name.includes(part))
}

const PAGES = [[0, 20], [0, 3000], [2000, 2], [32_767, 3]] as const

const TEXTS = [
  'berg', 'anna.berg', 'BERG_2099', 'christopher.berg_2100', 'example.org', '.org', '4503599627370496', '32767-Y@', 'g_3276',
  'nosuchname', 'anna.berg_x', 'berg berg', '%x@', '%', '_', 'a', 'bo', '20', '-y', 'org', 'ä', 'annä',
  '\u{1f600}', '\u{1f600}a', '\\', '100', 'x'.repeat(254), ...[2050, 32_768, 40_000, 65_536, 10_000_000].map(id => `g_${id}`)
]

for (const mode of ['force_custom_plan', 'force_generic_plan']) {
  test(`a page has all matches of any text in the order of ids, with ${mode}`, async t => {
    const client = await fill(t)
    await client.query(`SET plan_cache_mode = ${mode}`)
    const wrong: string[] = []
    for (const text of TEXTS) {
      for (const role of [undefined, 'moderator', 'admin'] as const) {
        for (const [after, limit] of PAGES) {
          const { rows } = await client.query<{ id: string }>(search(text, role, after, limit))
          const expected = USERS.filter(user =>
            user.id > after && isMatch(user, text) && (!role || user.roles.includes(role))).slice(0, limit)
          if (String(rows.map(({ id }) => id)) !== String(expected.map(({ id }) => id))) {
            wrong.push(`${text} role=${role} after=${after} limit=${limit}`)
          }
        }
      }
    }
    t.strictSame(wrong, [])
  })
}

test('a search reads users by id, then those that the index of searches has, and never reorders them', async t => {
  const client = await fill(t)
  for (const role of [undefined, 'moderator'] as const) {
    for (const [kind, plan] of Object.entries(await explain(client, search('anna.berg', role, 0, 20)))) {
      const scans = scansOf(plan)
      t.strictSame(scans.filter(scan => /Seq|Gather/.test(scan)), [], kind)
      t.strictSame(scans.filter(scan => /users_search_idx|Heap/.test(scan)),
        ['Bitmap Heap Scan of users', 'Bitmap Index Scan of users_search_idx'], kind)
      t.ok(scans.includes('Index Scan of users_pkey'))
      t.equal(scans.includes('Index Only Scan of user_roles_role_id_idx'), role !== undefined)
      // Nothing sorts the whole result, so the first matches end the search.
      const parts = plan.Plans?.find(part => part['Node Type'] === 'Append')?.Plans?.map(part => part['Node Type'])
      t.strictSame([plan['Node Type'], parts], ['Limit', ['CTE Scan', 'Nested Loop']])
    }
  }
})
