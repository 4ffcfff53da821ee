import { type Test, test } from 'tap'
import { createDatabase, PASSWORD, startApp, type TestApp } from '../../../support/app.ts'
import { FACTOR_INVALID, NOT_FRESH } from '../../../support/factor-errors.ts'
import { enrolPasskey, FACTOR_SETTINGS, signUpWithTotp } from '../../../support/factors.ts'
import { openMailbox } from '../../../support/mailbox.ts'
import { shareApp } from '../../../support/shared-app.ts'

const lastAdmin = { message: 'The last admin cannot be removed.', code: 'LAST_ADMIN' }
const notFound = { message: 'User Not found.', code: 'USER_NOT_FOUND' }

test('GET /api/users/:id returns a user to moderators and admins only', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  for (const role of ['user', 'moderator', 'admin']) await signUp(role, [role])
  const denied = await get('/api/users/1', { 'x-access-token': (await signIn('user')).accessToken })
  t.equal(denied.status, 403)
  t.strictSame(denied.body, { message: 'Require Moderator or Admin Role!', code: 'MODERATOR_OR_ADMIN_REQUIRED' })
  for (const name of ['moderator', 'admin']) {
    const response = await get('/api/users/1', { 'x-access-token': (await signIn(name)).accessToken })
    t.equal(response.status, 200)
    const { created, ...user } = response.json<{ created: string }>()
    t.equal(new Date(created).toISOString(), created)
    t.strictSame(user, { id: 1, username: 'user', email: 'user@example.com', roles: ['ROLE_USER'], emailVerified: false, disabled: false })
  }
})

test('GET /api/users/:id does not find a user who does not exist', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  await signUp('admin', ['admin'])
  const { accessToken } = await signIn('admin')
  for (const id of ['2', '9007199254740991']) {
    const response = await get(`/api/users/${id}`, { 'x-access-token': accessToken })
    t.equal(response.status, 404)
    t.strictSame(response.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
  }
})

interface UserBody {
  created: string
  roles: string[]
  disabled: boolean
}

/** Signs in an admin (user 1) and alice (user 2). */
async function setUp (t: Test) {
  const service = await shareApp(t)
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('alice')
  const [ada, alice] = [await service.signIn('ada'), await service.signIn('alice')]
  return {
    service,
    alice,
    put: async (path: string, payload: object) => await service.as(ada.accessToken, 'PUT', `/api/users/${path}`, payload),
    remove: async (path: string) => await service.as(ada.accessToken, 'DELETE', `/api/users/${path}`),
    statusAt: async (name: string) => (await service.as(alice.accessToken, 'GET', `/api/test/${name}`)).status
  }
}

test('granted and revoked roles apply to the next request with an existing token', async t => {
  const { service, put, statusAt } = await setUp(t)
  t.strictSame([await statusAt('mod'), await statusAt('user')], [403, 200])
  const response = await put('2/roles', { roles: ['moderator', 'user', 'moderator'] })
  t.equal(response.status, 200)
  const { created, ...user } = response.json<UserBody>()
  t.strictSame(user, { id: 2, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_MODERATOR'], emailVerified: false, disabled: false })
  t.equal(new Date(created).toISOString(), created)
  t.equal(await statusAt('mod'), 200)
  t.strictSame((await put('2/roles', { roles: [] })).json<UserBody>().roles, [])
  t.strictSame([await statusAt('mod'), await statusAt('user')], [403, 200])
  t.strictSame(await service.sql('SELECT FROM user_roles WHERE user_id = 2'), [])
})

test('an unknown role changes nothing', async t => {
  const { put, statusAt } = await setUp(t)
  const response = await put('2/roles', { roles: ['moderator', 'root'] })
  t.strictSame([response.status, response.body], [400, { message: 'Failed! Role does not exist = root', code: 'ROLE_UNKNOWN' }])
  t.equal(await statusAt('mod'), 403)
})

test('disabling a user ends the sessions, and enabling does not restore them', async t => {
  const { service, alice, put, statusAt } = await setUp(t)
  const response = await put('2/disabled', { disabled: true })
  t.equal(response.status, 200)
  t.equal(response.json<UserBody>().disabled, true)
  t.equal(await statusAt('user'), 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })).status, 403)
  const signIn = await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.strictSame([signIn.status, signIn.body], [403, { message: 'Account is disabled.', code: 'ACCOUNT_DISABLED' }])
  t.equal((await put('2/disabled', { disabled: false })).json<UserBody>().disabled, false)
  t.equal(await statusAt('user'), 401)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
})

test('disabling a user again keeps the time at which the user was disabled', async t => {
  const { service, put } = await setUp(t)
  await put('2/disabled', { disabled: true })
  const before = await service.sql('SELECT disabled_at FROM users WHERE id = 2')
  t.equal((await put('2/disabled', { disabled: true })).status, 200)
  t.strictSame(await service.sql('SELECT disabled_at FROM users WHERE id = 2'), before)
})

test('an admin can end the sessions of a user, and delete the user', async t => {
  const { service, alice, remove, statusAt } = await setUp(t)
  const ended = await remove('2/sessions')
  t.strictSame([ended.status, ended.body], [200, { message: 'The sessions were ended.' }])
  t.equal(await statusAt('user'), 401)
  const { accessToken } = await service.signIn('alice')
  const deleted = await remove('2')
  t.strictSame([deleted.status, deleted.body], [200, { message: 'The user was deleted.' }])
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })).status, 403)
  t.strictSame(await service.sql('SELECT FROM users WHERE id = 2'), [])
})

test('a user who does not exist is not found', async t => {
  const { put, remove } = await setUp(t)
  for (const { status, body } of [
    await put('99/roles', { roles: ['user'] }),
    await put('99/disabled', { disabled: true }),
    await remove('99/sessions'),
    await remove('99')
  ]) t.strictSame([status, body], [404, notFound])
})

test('the last enabled admin cannot be demoted, disabled or deleted', async t => {
  const { service, put, remove } = await setUp(t)
  await service.signUp('grace', ['admin'])
  await put('3/disabled', { disabled: true })
  for (const { status, body } of [
    await put('1/roles', { roles: ['user'] }),
    await put('1/disabled', { disabled: true }),
    await remove('1')
  ]) t.strictSame([status, body], [409, lastAdmin])
  t.equal((await put('1/roles', { roles: ['admin', 'moderator'] })).status, 200, 'other changes are allowed')
  t.equal((await put('3/roles', { roles: ['user'] })).status, 200, 'a disabled admin does not count')
  await put('2/roles', { roles: ['admin'] })
  t.equal((await put('1/roles', { roles: ['user'] })).status, 200, 'another admin remains')
})

type Attack = (service: TestApp, token: string, id: number) => Promise<{ status: number }>

const ATTACKS: Array<[title: string, attack: Attack]> = [
  ['demotes', async ({ as }, token, id) => await as(token, 'PUT', `/api/users/${id}/roles`, { roles: ['user'] })],
  ['disables', async ({ as }, token, id) => await as(token, 'PUT', `/api/users/${id}/disabled`, { disabled: true })],
  ['deletes', async ({ as }, token, id) => await as(token, 'DELETE', `/api/users/${id}`)]
]

test('of two admins who attack each other at the same time, at two replicas, one remains an admin', async t => {
  const url = await createDatabase(t)
  const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
  const pairs = ATTACKS.flatMap(([first, attackOfAda]) => ATTACKS.map(([second, attackOfGrace]) =>
    ({ title: `one ${first} the other, who ${second} the first`, attackOfAda, attackOfGrace })))
  for (const { title, attackOfAda, attackOfGrace } of pairs) {
    for (let round = 0; round < 5; round++) {
      await here.signUp('ada', ['admin'])
      await here.signUp('grace', ['admin'])
      const [ada, grace] = [await here.signIn('ada'), await here.signIn('grace')]
      const responses = await Promise.all([
        attackOfAda(here, ada.accessToken, grace.id),
        attackOfGrace(there, grace.accessToken, ada.id)
      ])
      const statuses = responses.map(({ status }) => status).sort()
      const admins = await here.sql(
        'SELECT FROM users JOIN user_roles ON user_id = id WHERE role_id = 3 AND disabled_at IS NULL')
      t.equal(admins.length, 1, `${title}: ${statuses.join(' and ')}`)
      t.equal(statuses[0], 200)
      // Rejected as the last admin, or because the role or the user no longer exists.
      t.match(String(statuses[1]), /^(401|403|404|409)$/)
      await here.sql('TRUNCATE users CASCADE')
    }
  }
})

test('an admin removes the second factors of a user who has lost them: the sessions end, and the user is told', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  await box.signUp('root', ['admin'])
  const root = await box.signIn('root')
  const { accessToken, id } = await signUpWithTotp(box, 'ada')
  const { authenticator } = await enrolPasskey(box, accessToken)
  const response = await box.as(root.accessToken, 'DELETE', `/api/users/${id}/factors`)
  t.strictSame([response.status, response.body],
    [200, { message: 'The second factors were removed, and the sessions were ended.' }])
  t.equal((await box.as(accessToken, 'GET', '/api/users/me')).status, 401)
  t.strictSame(await box.sql('SELECT kind FROM credentials WHERE user_id = $1', [id]), [{ kind: 'password' }])
  t.match(await box.signIn('ada'), { id, accessToken: String }, 'the password is enough again')
  const { challenge } = (await box.post('/api/auth/signin/passkey/options', {})).json<{ challenge: string }>()
  const passkey = await box.post('/api/auth/signin/passkey', { response: authenticator.get(challenge) })
  t.strictSame([passkey.status, passkey.body], [401, FACTOR_INVALID])
  t.equal((await box.letter('ada@example.com', 3)).subject, 'Your second factors for gatehouse were removed')
  t.strictSame(await box.sql(
    'SELECT event, user_id, actor_id, ip, detail FROM audit_events WHERE detail ->> \'change\' = \'second-factors-removed\''),
  [{ event: 'user_updated', user_id: String(id), actor_id: String(root.id), ip: '127.0.0.1', detail: { change: 'second-factors-removed' } }])
})

test('an admin who has proved only the password does not remove the factors of others, nor those of nobody', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { id, accessToken } = await signUpWithTotp(service, 'root', ['admin'])
  const ada = await signUpWithTotp(service, 'ada')
  const missing = await service.as(accessToken, 'DELETE', '/api/users/99/factors')
  t.strictSame([missing.status, missing.body], [404, notFound])
  await service.sql('UPDATE refresh_tokens SET amr = ARRAY[\'pwd\'] WHERE user_id = $1', [id])
  service.app.sessionCache.invalidate(id)
  const response = await service.as(accessToken, 'DELETE', `/api/users/${ada.id}/factors`)
  t.strictSame([response.status, response.body], [401, NOT_FRESH])
})
