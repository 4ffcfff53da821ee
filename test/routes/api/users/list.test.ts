import { type Test, test } from 'tap'
import { shareApp } from '../../../support/shared-app.ts'

interface Page {
  users: Array<{ id: number, username: string }>
  next: number | null
}

/** Signs up users, and an admin who requests pages of them. */
async function directory (t: Test, names: string[]) {
  const service = await shareApp(t)
  await service.signUp('ada', ['user', 'admin'])
  for (const name of names) await service.signUp(name)
  const { accessToken } = await service.signIn('ada')
  const get = async (query: string) => await service.as(accessToken, 'GET', `/api/users${query}`)
  return {
    service,
    get,
    page: async (query: string) => (await get(query)).json<Page>(),
    names: async (query: string) => (await get(query)).json<Page>().users.map(user => user.username)
  }
}

test('a page has users in the order of their ids, with all fields', async t => {
  const { service, get } = await directory(t, ['bob'])
  await service.sql('UPDATE users SET disabled_at = now() WHERE username = \'bob\'')
  await service.sql('UPDATE users SET email_verified_at = now() WHERE username = \'ada\'')
  const response = await get('')
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const rows = await service.sql<{ created_at: Date }>('SELECT created_at FROM users ORDER BY id')
  const created = rows.map(row => row.created_at.toISOString())
  const ada = { id: 1, username: 'ada', email: 'ada@example.com', roles: ['ROLE_USER', 'ROLE_ADMIN'], emailVerified: true, disabled: false }
  const bob = { id: 2, username: 'bob', email: 'bob@example.com', roles: ['ROLE_USER'], emailVerified: false, disabled: true }
  t.strictSame(response.body, { users: [{ ...ada, created: created[0] }, { ...bob, created: created[1] }], next: null })
})

test('pages have no gaps and no duplicates, even if users are deleted between them', async t => {
  const { service, page } = await directory(t, ['u2', 'u3', 'u4', 'u5', 'u6'].map(name => `${name}x`))
  const first = await page('?limit=2')
  t.strictSame([first.users.map(user => user.id), first.next], [[1, 2], 2])
  await service.sql('DELETE FROM users WHERE id IN (2, 3)')
  const second = await page('?limit=2&after=2')
  t.strictSame([second.users.map(user => user.id), second.next], [[4, 5], 5])
  const third = await page('?limit=2&after=5')
  t.strictSame([third.users.map(user => user.id), third.next], [[6], null])
  t.strictSame(await page('?after=6'), { users: [], next: null })
})

test('a role filters users, and its pages follow one another', async t => {
  const { service, page, names } = await directory(t, ['bob', 'carol'])
  await service.signUp('mia', ['user', 'moderator'])
  await service.signUp('max', ['moderator'])
  t.strictSame(await names('?role=moderator'), ['mia', 'max'])
  t.strictSame(await names('?role=admin'), ['ada'])
  const first = await page('?role=user&limit=3')
  t.strictSame([first.users.map(user => user.username), first.next], [['ada', 'bob', 'carol'], 3])
  t.strictSame((await page('?role=user&limit=3&after=3')).users.map(user => user.username), ['mia'])
  t.strictSame(await names('?role=moderator&search=ma'), ['max'])
})

test('a search finds a part of the username or the e-mail address, in any case, without wildcards', async t => {
  const { service, names } = await directory(t, ['bob', 'percy', 'under_score'])
  await service.sql('UPDATE users SET email = \'x%y@example.org\' WHERE username = \'percy\'')
  const search = async (text: string) => await names(`?search=${encodeURIComponent(text)}`)
  t.strictSame(await search('R_S'), ['under_score'])
  t.strictSame(await search('example.ORG'), ['percy'])
  t.strictSame(await search('percy@example.com'), [], 'a former address')
  t.strictSame(await search('X%y'), ['percy'])
  t.strictSame(await search('x_y'), [])
  t.strictSame(await search('x.y'), [])
  t.strictSame(await search('nobody'), [])
  t.strictSame(await search(''), ['ada', 'bob', 'percy', 'under_score'])
  t.strictSame(await search('\' OR 1=1 --'), [])
})

test('a search for one or two characters finds the beginning of the username or the e-mail address', async t => {
  const { service, names } = await directory(t, ['bob', 'percy', '_under_score'])
  await service.sql('UPDATE users SET email = \'%y@example.org\' WHERE username = \'percy\'')
  const search = async (text: string) => await names(`?search=${encodeURIComponent(text)}`)
  t.strictSame(await search('BO'), ['bob'])
  t.strictSame(await search('ob'), [])
  t.strictSame(await search('%'), ['percy'])
  t.strictSame(await search('_'), ['_under_score'])
  t.strictSame(await search('\u{1f600}'), [])
})

test('pages of a search follow one another, also with a role', async t => {
  const { page } = await directory(t, ['bob1', 'carol', 'bob2', 'bob3'])
  for (const filter of ['?search=bob&limit=2', '?search=bob&limit=2&role=user']) {
    const first = await page(filter)
    t.strictSame([first.users.map(user => user.username), first.next], [['bob1', 'bob2'], 4])
    const second = await page(`${filter}&after=4`)
    t.strictSame([second.users.map(user => user.username), second.next], [['bob3'], null])
  }
  t.strictSame(await page('?search=bob&role=admin'), { users: [], next: null })
})

test('an invalid query is rejected with what is expected', async t => {
  const { get } = await directory(t, [])
  const LIMIT = 'limit must be a whole number from 1 to 100'
  const SEARCH = 'search must be a string of at most 254 characters'
  const AFTER = 'after must be the `next` of the previous page'
  for (const [query, message] of [
    ['limit=0', LIMIT], ['limit=101', LIMIT], ['limit=x', LIMIT], ['limit=1.5', LIMIT], ['limit=1&limit=2', LIMIT],
    ['after=-1', AFTER], ['after=1e999', AFTER], ['role=root', 'role must be one of user, moderator, admin'],
    ['search=%00', SEARCH], [`search=${'x'.repeat(255)}`, SEARCH],
    ['page=2', 'page is not a known field']
  ] as const) {
    const response = await get(`?${query}`)
    t.strictSame([response.status, response.body], [400, { message, code: 'VALIDATION_FAILED' }], query)
  }
})
