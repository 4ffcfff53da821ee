import { type Test, test } from 'tap'
import { startApp } from '../../../support/app.ts'

interface Page {
  users: Array<{ id: number, username: string }>
  next: number | null
}

/** A service with users and an admin, who asks for pages. */
async function directory (t: Test, names: string[]) {
  const service = await startApp(t)
  await service.signUp('ada', ['user', 'admin'])
  for (const name of names) await service.signUp(name)
  const { accessToken } = await service.signIn('ada')
  const ask = async (query: string) => await service.as(accessToken, 'GET', `/api/users${query}`)
  return {
    service,
    ask,
    page: async (query: string): Promise<Page> => Object((await ask(query)).body),
    names: async (query: string) => Object((await ask(query)).body).users.map((user: { username: string }) => user.username)
  }
}

test('a page shows accounts in the order of their ids, each whole', async t => {
  const { service, ask } = await directory(t, ['bob'])
  await service.sql('UPDATE users SET disabled_at = now() WHERE username = \'bob\'')
  const response = await ask('')
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const created = (await service.sql<{ created_at: Date }>('SELECT created_at FROM users ORDER BY id')).map(row => row.created_at.toISOString())
  t.strictSame(response.body, {
    users: [
      { id: 1, username: 'ada', email: 'ada@example.com', roles: ['ROLE_USER', 'ROLE_ADMIN'], created: created[0], disabled: false },
      { id: 2, username: 'bob', email: 'bob@example.com', roles: ['ROLE_USER'], created: created[1], disabled: true }
    ],
    next: null
  })
})

test('pages follow one another to the end, without a gap or a twin, also when a user goes in between', async t => {
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

test('a role filters, and pages of it follow one another', async t => {
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

test('a search finds a part of the name or the address, in any case, and takes wildcards as they are', async t => {
  const { service, names } = await directory(t, ['bob', 'percy', 'under_score'])
  await service.sql('UPDATE users SET email = \'x%y@example.org\' WHERE username = \'percy\'')
  t.strictSame(await names('?search=OB'), ['bob'])
  t.strictSame(await names('?search=example.ORG'), ['percy'])
  t.strictSame(await names(`?search=${encodeURIComponent('%')}`), ['percy'])
  t.strictSame(await names('?search=_'), ['under_score'])
  t.strictSame(await names('?search=nobody'), [])
  t.strictSame(await names('?search='), ['ada', 'bob', 'percy', 'under_score'])
  t.strictSame(await names(`?search=${encodeURIComponent('\' OR 1=1 --')}`), [])
})

test('a bad query is refused with what it must be', async t => {
  const { ask } = await directory(t, [])
  const LIMIT = 'limit must be a whole number from 1 to 100'
  const AFTER = 'after must be the number that the page before gave as next'
  for (const [query, message] of [
    ['limit=0', LIMIT], ['limit=101', LIMIT], ['limit=x', LIMIT], ['limit=1.5', LIMIT], ['limit=1&limit=2', LIMIT],
    ['after=-1', AFTER], ['after=1e999', AFTER], ['role=root', 'role must be one of user, moderator, admin'],
    ['search=%00', 'search must be a text of at most 254 characters'], [`search=${'x'.repeat(255)}`, 'search must be a text of at most 254 characters'],
    ['page=2', 'page is not a known field']
  ] as const) {
    const response = await ask(`?${query}`)
    t.strictSame([response.status, response.body], [400, { message, code: 'VALIDATION_FAILED' }], query)
  }
})
