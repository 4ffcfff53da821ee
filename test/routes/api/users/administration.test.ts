import { type Test, test } from 'tap'
import { createDatabase, PASSWORD, startApp, type TestApp } from '../../../support/app.ts'

const lastAdmin = { message: 'The last admin cannot be removed.', code: 'LAST_ADMIN' }
const notFound = { message: 'User Not found.', code: 'USER_NOT_FOUND' }

/** An admin (user 1) and alice (user 2), both signed in. */
async function office (t: Test) {
  const service = await startApp(t)
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('alice')
  const [ada, alice] = [await service.signIn('ada'), await service.signIn('alice')]
  return {
    service,
    alice,
    put: async (path: string, payload: object) => await service.as(ada.accessToken, 'PUT', `/api/users/${path}`, payload),
    remove: async (path: string) => await service.as(ada.accessToken, 'DELETE', `/api/users/${path}`),
    board: async (name: string) => (await service.as(alice.accessToken, 'GET', `/api/test/${name}`)).status
  }
}

test('roles given and taken act on the next request of a token already out', async t => {
  const { service, put, board } = await office(t)
  t.strictSame([await board('mod'), await board('user')], [403, 200])
  const response = await put('2/roles', { roles: ['moderator', 'user', 'moderator'] })
  t.equal(response.status, 200)
  const { created, ...account } = Object(response.body)
  t.strictSame(account, { id: 2, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_MODERATOR'], disabled: false })
  t.equal(new Date(created).toISOString(), created)
  t.equal(await board('mod'), 200)
  t.strictSame(Object((await put('2/roles', { roles: [] })).body).roles, [])
  t.strictSame([await board('mod'), await board('user')], [403, 200])
  t.strictSame(await service.sql('SELECT FROM user_roles WHERE user_id = 2'), [])
})

test('a role that there is not changes nothing', async t => {
  const { put, board } = await office(t)
  const response = await put('2/roles', { roles: ['moderator', 'root'] })
  t.strictSame([response.status, response.body], [400, { message: 'Failed! Role does not exist = root', code: 'ROLE_UNKNOWN' }])
  t.equal(await board('mod'), 403)
})

test('disabling ends the sessions; enabling again brings none of them back', async t => {
  const { service, alice, put, board } = await office(t)
  const response = await put('2/disabled', { disabled: true })
  t.equal(response.status, 200)
  t.equal(Object(response.body).disabled, true)
  t.equal(await board('user'), 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })).status, 403)
  const signIn = await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.strictSame([signIn.status, signIn.body], [403, { message: 'Account is disabled.', code: 'ACCOUNT_DISABLED' }])
  t.equal(Object((await put('2/disabled', { disabled: false })).body).disabled, false)
  t.equal(await board('user'), 401)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
})

test('an account stays disabled since when it first was', async t => {
  const { service, put } = await office(t)
  await put('2/disabled', { disabled: true })
  const before = await service.sql('SELECT disabled_at FROM users WHERE id = 2')
  t.equal((await put('2/disabled', { disabled: true })).status, 200)
  t.strictSame(await service.sql('SELECT disabled_at FROM users WHERE id = 2'), before)
})

test('an admin ends the sessions of an account, or deletes it', async t => {
  const { service, alice, remove, board } = await office(t)
  const ended = await remove('2/sessions')
  t.strictSame([ended.status, ended.body], [200, { message: 'The sessions were ended.' }])
  t.equal(await board('user'), 401)
  const { accessToken } = await service.signIn('alice')
  const deleted = await remove('2')
  t.strictSame([deleted.status, deleted.body], [200, { message: 'The account was deleted.' }])
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })).status, 403)
  t.strictSame(await service.sql('SELECT FROM users WHERE id = 2'), [])
})

test('an account that is not there is not found', async t => {
  const { put, remove } = await office(t)
  for (const { status, body } of [
    await put('99/roles', { roles: ['user'] }), await put('99/disabled', { disabled: true }), await remove('99/sessions'), await remove('99')
  ]) t.strictSame([status, body], [404, notFound])
})

test('the last enabled admin keeps the role, and stays enabled and there', async t => {
  const { service, put, remove } = await office(t)
  await service.signUp('grace', ['admin'])
  await put('3/disabled', { disabled: true })
  for (const { status, body } of [await put('1/roles', { roles: ['user'] }), await put('1/disabled', { disabled: true }), await remove('1')]) {
    t.strictSame([status, body], [409, lastAdmin])
  }
  t.equal((await put('1/roles', { roles: ['admin', 'moderator'] })).status, 200, 'other changes are free')
  t.equal((await put('3/roles', { roles: ['user'] })).status, 200, 'a disabled admin is none')
  await put('2/roles', { roles: ['admin'] })
  t.equal((await put('1/roles', { roles: ['user'] })).status, 200, 'another is left')
})

const ATTACKS: Array<[title: string, attack: (service: TestApp, token: string, victim: number) => Promise<{ status: number }>]> = [
  ['demotes', async ({ as }, token, victim) => await as(token, 'PUT', `/api/users/${victim}/roles`, { roles: ['user'] })],
  ['disables', async ({ as }, token, victim) => await as(token, 'PUT', `/api/users/${victim}/disabled`, { disabled: true })],
  ['deletes', async ({ as }, token, victim) => await as(token, 'DELETE', `/api/users/${victim}`)]
]

for (const [hers, attackOfAda] of ATTACKS) {
  for (const [theirs, attackOfGrace] of ATTACKS) {
    test(`one admin ${hers} the other, who ${theirs} back in the same instant: one is left`, async t => {
      const url = await createDatabase(t)
      const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
      for (let round = 0; round < 5; round++) {
        const [a, b] = [`ada${round}`, `grace${round}`]
        await here.signUp(a, ['admin'])
        await here.signUp(b, ['admin'])
        const [ada, grace] = [await here.signIn(a), await here.signIn(b)]
        const responses = await Promise.all([attackOfAda(here, ada.accessToken, grace.id), attackOfGrace(there, grace.accessToken, ada.id)])
        const statuses = responses.map(({ status }) => status).sort()
        const admins = await here.sql('SELECT FROM users JOIN user_roles ON user_id = id WHERE role_id = 3 AND disabled_at IS NULL')
        t.equal(admins.length, 1, `answered ${statuses.join(' and ')}`)
        t.equal(statuses[0], 200)
        // Refused as the last admin, for the role that is gone, or because the account is gone.
        t.match(String(statuses[1]), /^(401|403|404|409)$/)
        await here.sql('TRUNCATE users CASCADE')
      }
    })
  }
}
