import { test, type Test } from 'tap'
import { PASSWORD, type TestApp } from '../../support/app.ts'
import { addKey } from '../../support/api-keys.ts'
import { openMailbox, signUpVerified } from '../../support/mailbox.ts'
import { shareApp } from '../../support/shared-app.ts'

interface KeyBody {
  id: string
  name: string
  key: string
  created: string
}

const NOT_FOUND = { message: 'API key Not found.', code: 'KEY_NOT_FOUND' }
const UNAUTHORIZED = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }
const UNKNOWN = '019ab0c4-7c00-7000-8000-000000000001'

/** Signs in ada, an admin (user 1), and alice (user 2). */
async function setUp (t: Test) {
  const service = await shareApp(t, { MAX_API_KEYS: 3 })
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('alice', ['user', 'moderator'])
  return { service, ada: (await service.signIn('ada')).accessToken, alice: (await service.signIn('alice')).accessToken }
}

const statusOf = async (service: TestApp, key: string, path = '/api/test/user') =>
  (await service.get(path, { 'x-api-key': key })).status

test('a key is shown once, and has the roles of its owner unless others are given', async t => {
  const { service, alice } = await setUp(t)
  const response = await service.as(alice, 'POST', '/api/keys', { name: 'nightly export' })
  t.equal(response.status, 201)
  t.equal(response.headers['cache-control'], 'no-store')
  const { id, key, created, ...rest } = response.json<KeyBody>()
  t.match(id, /^[0-9a-f-]{36}$/)
  t.match(key, /^gh_[0-9A-Za-z]{60}$/)
  t.equal(new Date(created).toISOString(), created)
  t.strictSame(rest, { name: 'nightly export', roles: ['ROLE_USER', 'ROLE_MODERATOR'], lastUsed: null, expires: null })
  const list = await service.as(alice, 'GET', '/api/keys')
  t.strictSame([list.status, list.body], [200, { keys: [{ id, created, ...rest }] }])
  for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }, { 'x-api-key': key, authorization: `bearer ${key}` }]) {
    const entered = await service.get('/api/test/mod', headers)
    t.strictSame([entered.status, entered.body], [200, 'Moderator Content.'])
    t.equal(entered.headers['cache-control'], 'no-store')
  }
  const [stored] = await service.sql('SELECT * FROM api_keys')
  t.notMatch(JSON.stringify(stored), key.slice(30, 57), 'the secret is not stored')
  t.strictSame(await service.sql('SELECT event, user_id, actor_id, detail FROM audit_events WHERE event <> \'user_created\''), [{
    event: 'authn_token_created',
    user_id: '2',
    actor_id: '2',
    detail: { keyId: id, name: 'nightly export', roles: ['user', 'moderator'], expires: null }
  }])
  t.match(service.logs.filter(line => line['keyId'] === id), [{ event: 'authn_token_created', level: 30, userId: 2 }])
  t.notMatch(JSON.stringify(service.logs), key)
})

test('a key can be given fewer roles, none, and an end', async t => {
  const { service, alice } = await setUp(t)
  const expiresAt = new Date(Date.now() + 3600_000).toISOString()
  const some = await service.as(alice, 'POST', '/api/keys', { name: 'a', roles: ['user', 'user'], expiresAt })
  t.match([some.status, some.body], [201, { roles: ['ROLE_USER'], expires: expiresAt }])
  const none = await service.as(alice, 'POST', '/api/keys', { name: 'b', roles: [] })
  t.match([none.status, none.body], [201, { roles: [], expires: null }])
  const name = '🔑'.repeat(64)
  t.match((await service.as(alice, 'POST', '/api/keys', { name })).body, { name })
  const [someKey, noKey] = [some.json<KeyBody>().key, none.json<KeyBody>().key]
  t.strictSame([await statusOf(service, someKey), await statusOf(service, someKey, '/api/test/mod')], [200, 403])
  t.strictSame([await statusOf(service, noKey), await statusOf(service, noKey, '/api/test/mod')], [200, 403])
})

test('what cannot be created is rejected, and creates nothing', async t => {
  const { service, alice } = await setUp(t)
  const invalid = (message: string) => ({ message, code: 'VALIDATION_FAILED' })
  const cases: Array<[body: object, status: number, error: object]> = [
    [{}, 400, invalid('name is required')],
    [{ name: '' }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: '   ' }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: 'x'.repeat(65) }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: 'a\u0007b' }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: 'a\u009bb' }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: 'a\ud800b' }, 400, invalid('name must be a line of 1 to 64 characters, not only spaces')],
    [{ name: 'a', expiresAt: 'tomorrow' }, 400, invalid('expiresAt must be a time such as 2027-01-31T12:00:00Z')],
    [{ name: 'a', expiresAt: '2020-01-01T00:00:00Z' }, 400, invalid('expiresAt must be a time in the future')],
    [{ name: 'a', expiresAt: '2099-13-41T00:00:00Z' }, 400, invalid('expiresAt must be a time in the future')],
    [{ name: 'a', roles: ['root'] }, 400, { message: 'Failed! Role does not exist = root', code: 'ROLE_UNKNOWN' }],
    [{ name: 'a', roles: ['user', 'admin'] }, 403, { message: 'Require Role admin!', code: 'ROLE_NOT_HELD' }]
  ]
  for (const [body, status, error] of cases) {
    const response = await service.as(alice, 'POST', '/api/keys', body)
    t.strictSame([response.status, response.body], [status, error], JSON.stringify(body))
  }
  t.strictSame(await service.sql('SELECT FROM api_keys'), [])
})

test('a user has at most MAX_API_KEYS keys, also if several are created at once', async t => {
  const { service, alice } = await setUp(t)
  const create = async () => await service.as(alice, 'POST', '/api/keys', { name: 'a' })
  const statuses = (await Promise.all(Array.from({ length: 8 }, create))).map(({ status }) => status)
  t.strictSame(statuses.sort(), [201, 201, 201, 409, 409, 409, 409, 409])
  t.strictSame((await create()).body,
    { message: 'The maximum number of API keys is reached. Please delete one first.', code: 'KEY_LIMIT_REACHED' })
  await service.sql('UPDATE api_keys SET created_at = now() - interval \'2 h\', expires_at = now() - interval \'1 h\'')
  t.strictSame((await service.as(alice, 'GET', '/api/keys')).body, { keys: [] }, 'expired keys are not counted')
  t.equal((await create()).status, 201)
  t.equal(await service.app.purge(), 3)
  t.equal((await service.sql('SELECT FROM api_keys')).length, 1)
})

test('the owner deletes a key, which is then refused', async t => {
  const { service, alice } = await setUp(t)
  const [kept, { id, key }] = [await addKey(service, 2), await addKey(service, 2)]
  t.equal(await statusOf(service, key), 200)
  const deleted = await service.as(alice, 'DELETE', `/api/keys/${id}`)
  t.strictSame([deleted.status, deleted.body], [200, { message: 'The API key was deleted.' }])
  const refused = await service.get('/api/test/user', { 'x-api-key': key })
  t.strictSame([refused.status, refused.body], [401, UNAUTHORIZED])
  t.equal(await statusOf(service, kept.key), 200)
  const again = await service.as(alice, 'DELETE', `/api/keys/${id}`)
  t.strictSame([again.status, again.body], [404, NOT_FOUND])
  t.match(await service.sql('SELECT event, detail FROM audit_events ORDER BY id DESC LIMIT 1'),
    [{ event: 'authn_token_revoked', detail: { keyId: id } }])
})

test('nobody else but an admin lists and deletes a key', async t => {
  const { service, ada, alice } = await setUp(t)
  const { id, key } = await addKey(service, 1)
  t.strictSame((await service.as(alice, 'DELETE', `/api/keys/${id}`)).body, NOT_FOUND)
  t.equal((await service.as(alice, 'GET', '/api/users/1/keys')).status, 403)
  t.equal((await service.as(alice, 'DELETE', `/api/users/1/keys/${id}`)).status, 403)
  t.equal(await statusOf(service, key), 200)

  const other = await addKey(service, 2, ['user'])
  const list = await service.as(ada, 'GET', '/api/users/2/keys')
  t.match([list.status, list.body], [200, { keys: [{ id: other.id, name: 'a key', roles: ['ROLE_USER'] }] }])
  t.strictSame((await service.as(ada, 'GET', '/api/users/9/keys')).body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
  t.strictSame((await service.as(ada, 'DELETE', `/api/users/1/keys/${other.id}`)).body, NOT_FOUND, 'the key of another user')
  t.strictSame((await service.as(ada, 'DELETE', `/api/users/2/keys/${UNKNOWN}`)).body, NOT_FOUND)
  t.strictSame((await service.as(ada, 'DELETE', `/api/users/2/keys/${other.id}`)).body, { message: 'The API key was deleted.' })
  t.equal(await statusOf(service, other.key), 401)
  t.match(await service.sql('SELECT user_id, actor_id FROM audit_events ORDER BY id DESC LIMIT 1'), [{ user_id: '2', actor_id: '1' }])
})

test('a role that the owner loses or gets changes the key at once, by the API and by SQL', async t => {
  const { service, ada } = await setUp(t)
  const { key } = await addKey(service, 2, ['user', 'moderator'])
  const entered = async () => [await statusOf(service, key), await statusOf(service, key, '/api/test/mod')]
  t.strictSame(await entered(), [200, 200])
  await service.as(ada, 'PUT', '/api/users/2/roles', { roles: ['user', 'admin'] })
  t.strictSame(await entered(), [200, 403])
  t.equal(await statusOf(service, key, '/api/test/admin'), 403, 'the key was not given this role')
  await service.as(ada, 'PUT', '/api/users/2/roles', { roles: ['user', 'moderator'] })
  t.strictSame(await entered(), [200, 200])
})

test('keys survive sign-out and a change of the password, and not disabling nor deletion', async t => {
  const { service, ada, alice } = await setUp(t)
  const { key } = await addKey(service, 2)
  const changed = await service.as(alice, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: 'battery staple' })
  await service.as(changed.json<{ accessToken: string }>().accessToken, 'POST', '/api/auth/signout/all')
  t.equal(await statusOf(service, key), 200)
  for (const disabled of [true, false]) {
    await service.as(ada, 'PUT', '/api/users/2/disabled', { disabled })
    t.equal(await statusOf(service, key), 401, `disabled: ${disabled}`)
  }
  const other = await addKey(service, 2)
  t.equal(await statusOf(service, other.key), 200)
  await service.sql('UPDATE users SET disabled_at = now() WHERE id = 2')
  t.strictSame(await service.sql('SELECT FROM api_keys'), [], 'disabling by SQL counts too')
  await service.sql('UPDATE users SET disabled_at = NULL WHERE id = 2')
  const third = await addKey(service, 2)
  t.equal(await statusOf(service, third.key), 200)
  await service.as(ada, 'DELETE', '/api/users/2')
  t.equal(await statusOf(service, third.key), 401)
})

test('keys do not survive a reset of the password, the undo of a change of the address, nor a take-over', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const address = 'alice@example.com'
  const [first] = [await addKey(box, 1)]
  t.equal(await statusOf(box, first.key), 200)
  await box.post('/api/auth/password/forgot', { email: address })
  const { token } = await box.letter(address)
  t.equal((await box.post('/api/auth/password/reset', { token, newPassword: PASSWORD })).status, 200)
  t.equal(await statusOf(box, first.key), 401, 'after the reset')

  const { accessToken } = await box.signIn('alice')
  const second = await addKey(box, 1)
  await box.as(accessToken, 'PUT', '/api/users/me/email', { email: 'alice@new.example.com' })
  const confirm = await box.letter('alice@new.example.com')
  await box.post('/api/auth/email/verify', { token: confirm.token }, { 'x-access-token': accessToken })
  t.equal(await statusOf(box, second.key), 200, 'a confirmed change keeps them')
  const undo = await box.letter(address, 3)
  t.equal((await box.post('/api/auth/email/undo', { token: undo.token })).status, 200)
  t.equal(await statusOf(box, second.key), 401, 'after the undo')

  await box.signUp('bob')
  const third = await addKey(box, 2)
  t.equal(await statusOf(box, third.key), 200)
  await box.post('/api/auth/email/verification', { email: 'bob@example.com' })
  const verification = await box.letter('bob@example.com')
  t.equal((await box.post('/api/auth/email/verify', { token: verification.token, newPassword: 'battery staple' })).status, 200)
  t.equal(await statusOf(box, third.key), 401, 'after the take-over')
})
