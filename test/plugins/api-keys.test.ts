import { test } from 'tap'
import type { Access } from '../../src/access.ts'
import { ApiError } from '../../src/errors.ts'
import { decodeKey, encodeKey } from '../../src/tokens/api-key.ts'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'
import { addKey } from '../support/api-keys.ts'
import { buildWith } from '../support/routes.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

const enter = async (service: TestApp, key: string) => (await service.get('/api/test/user', { 'x-api-key': key })).status

test('a route that declares API keys where they cannot be admitted prevents the start', async t => {
  const build = async (config: { access: Access, freshness?: true, apiKeys: unknown }) => await buildWith(t, app => {
    app.route({ method: 'GET', url: '/keys', config: { ...config, apiKeys: config.apiKeys as true }, handler: async () => 'keys' })
  })
  await t.rejects(build({ access: 'public', apiKeys: true }), { message: 'Route GET /keys is public, so it cannot admit API keys.' })
  for (const apiKeys of [true, 'only']) {
    await t.rejects(build({ access: 'admin', freshness: true, apiKeys }),
      { message: 'Route GET /keys requires freshness, which API keys never have.' })
  }
  for (const apiKeys of [false, 'yes', 1]) {
    await t.rejects(build({ access: 'admin', apiKeys }),
      { message: `Route GET /keys declares the unknown apiKeys "${apiKeys}". Use true or "only", or leave it out.` })
  }
})

test('a route that reads the session of the caller fails for an API key, instead of treating the key as a session', async t => {
  const url = await createDatabase(t)
  const { app } = await buildWith(t, app => {
    app.get('/session', { config: { access: 'signed-in', apiKeys: true } }, async request => request.caller.sessionId)
  }, { DATABASE_URL: url })
  const service = await startApp(t, { DATABASE_URL: url })
  await service.signUp('ada')
  const { key } = await addKey(service, 1)
  t.equal((await app.inject({ url: '/session', headers: { 'x-api-key': key } })).statusCode, 500)
  const { accessToken } = await service.signIn('ada')
  t.equal((await app.inject({ url: '/session', headers: { 'x-access-token': accessToken } })).statusCode, 200)
})

test('a key gives no rights at public routes', async t => {
  const service = await shareApp(t)
  await service.signUp('ada', ['user', 'admin'])
  const { key } = await addKey(service, 1)
  const body = { username: 'eve', email: 'eve@example.com', password: 'correct horse', roles: ['admin'] }
  for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }]) {
    const response = await service.post('/api/auth/signup', body, headers)
    t.match([response.status, response.body], [403, { code: 'ROLE_NOT_OPEN' }])
  }
  t.strictSame(await service.sql('SELECT FROM users WHERE username = \'eve\''), [])
})

test('a rejected key is logged once a minute, without its text', async t => {
  const service = await shareApp(t)
  await service.signUp('ada')
  const { key, id } = await addKey(service, 1)
  await service.sql('DELETE FROM api_keys WHERE id = $1', [id])
  for (let i = 0; i < 3; i++) t.equal(await enter(service, key), 401)
  t.match(service.logs.filter(line => line['event'] === 'authn_token_rejected'), [{ level: 40, reason: 'revoked', route: '/api/test/user' }])
  t.notMatch(JSON.stringify(service.logs), key.slice(30))
})

const lastUsed = async (service: TestApp) =>
  (await service.sql<{ recent: boolean | null }>('SELECT last_used_at > now() - interval \'1 minute\' AS recent FROM api_keys'))
    .map(({ recent }) => recent)

test('the use of a key is recorded, at most every ten minutes', async t => {
  const service = await startApp(t)
  await service.signUp('ada')
  const { key, id } = await addKey(service, 1)
  t.strictSame(await lastUsed(service), [null])
  for (let i = 0; i < 100; i++) await enter(service, key)
  await until('the use to be recorded', async () => (await lastUsed(service))[0] === true)
  const { accessToken } = await service.signIn('ada')
  const list = await service.as(accessToken, 'GET', '/api/keys')
  t.match(list.body, { keys: [{ lastUsed: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ }] })
  const version = async () => await service.sql('SELECT xmin::text FROM api_keys WHERE id = $1', [id])

  // By the clock of this process, more than ten minutes have passed.
  await service.sql('UPDATE api_keys SET last_used_at = now() - interval \'9 minutes\'')
  const recorded = await version()
  service.app.sessionCache.invalidate(1)
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 2 * 60_000 })
  t.equal(await enter(service, key), 200)
  const other = await addKey(service, 1)
  t.equal(await enter(service, other.key), 200)
  await until('the use of the other key', async () =>
    (await service.sql('SELECT FROM api_keys WHERE id = $1 AND last_used_at IS NOT NULL', [other.id])).length > 0)
  t.strictSame(await version(), recorded, 'the clock of the database decides')

  await service.sql('UPDATE api_keys SET last_used_at = now() - interval \'11 minutes\' WHERE id = $1', [id])
  service.app.sessionCache.invalidate(1)
  t.equal(await enter(service, key), 200)
  await until('the use to be recorded', async () =>
    (await service.sql('SELECT FROM api_keys WHERE id = $1 AND last_used_at > now() - interval \'1 minute\'', [id])).length > 0)
})

test('recording a use is a HOT update and sends no notification, so it invalidates no cache', async t => {
  const service = await startApp(t)
  await service.signUp('ada')
  const { key } = await addKey(service, 1)
  await enter(service, key)
  await until('the use to be recorded', async () => (await lastUsed(service))[0] === true)
  const { hits, misses } = service.app.sessionCache.stats()
  for (let i = 0; i < 10; i++) t.equal(await enter(service, key), 200)
  t.match(service.app.sessionCache.stats(), { hits: hits + 10, misses })
  await until('the statistics', async () => {
    const [row] = await service.sql<{ updates: number, hot: number }>(
      'SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'api_keys\'')
    return row && row.updates === 1 && row.hot === 1
  })
})

test('a use that cannot be recorded costs nothing but the time', async t => {
  const service = await startApp(t)
  await service.signUp('ada')
  const { key } = await addKey(service, 1)
  const query = service.app.db.query
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      if (statement.name === 'record_key_uses') throw new ApiError('DATABASE_UNAVAILABLE')
      return await query(statement)
    }
  })
  t.equal(await enter(service, key), 200)
  await until('the warning', () => service.logs.some(line => line.msg === 'the use of API keys was not recorded'))
  t.equal(await enter(service, key), 200)
  t.strictSame(await lastUsed(service), [null])
})

test('closing the service records the uses so far', async t => {
  const url = await createDatabase(t)
  const service = await startApp(t, { DATABASE_URL: url })
  await service.signUp('ada')
  const { key } = await addKey(service, 1)
  t.equal(await enter(service, key), 200)
  await service.app.close()
  t.strictSame(await lastUsed(service), [true])
})

test('with SESSION_CACHE=off, every request with a key queries', async t => {
  const service = await startApp(t, { SESSION_CACHE: 'off' })
  await service.signUp('ada')
  const { key, id } = await addKey(service, 1)
  for (let i = 0; i < 3; i++) t.equal(await enter(service, key), 200)
  t.match(service.app.sessionCache.stats(), { hits: 0, misses: 3 })
  await service.sql('DELETE FROM api_keys WHERE id = $1', [id])
  t.equal(await enter(service, key), 401)
})

test('a cached key expires, and does not admit another secret', async t => {
  const service = await startApp(t)
  await service.signUp('ada')
  const { key, id } = await addKey(service, 1)
  await service.sql('UPDATE api_keys SET expires_at = now() + interval \'1 h\'')
  t.equal(await enter(service, key), 200)
  const other = await addKey(service, 1)
  const secret = decodeKey(other.key)?.secret ?? Buffer.alloc(0)
  t.equal(await enter(service, encodeKey({ keyId: id, secret })), 401, 'the id of one key with the secret of another')
  t.equal(await enter(service, key), 200)
  await service.sql('UPDATE api_keys SET created_at = now() - interval \'2 h\', expires_at = now() + interval \'1 s\' WHERE id = $1', [id])
  const presented = service.app.apiKeys.decode(key)
  t.ok(presented && await until('the key', async () => await service.app.sessionCache.loadKey(presented)))
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 1500 })
  t.equal(presented && service.app.sessionCache.getKey(presented), undefined)
})

test('a changed username is repeated at once', async t => {
  const service = await startApp(t)
  await service.signUp('ada')
  const { key } = await addKey(service, 1)
  const name = async () => (await service.get('/api/auth/check', { 'x-api-key': key })).headers['x-user-name']
  t.equal(await name(), 'ada')
  await service.sql('UPDATE users SET username = \'ida\'')
  await until('the new name', async () => await name() === 'ida')
})

/** Changes of keys in psql, and the statuses of the key at the test endpoints for users and admins afterwards. */
const CHANGES: Array<[sql: string, user: number, admin: number]> = [
  ['DELETE FROM api_keys', 401, 401],
  ['TRUNCATE api_keys', 401, 401],
  ['UPDATE api_keys SET role_ids = \'{1}\'', 200, 403],
  [`UPDATE api_keys SET secret_hash = '${'x'.repeat(43)}'`, 401, 401],
  ['UPDATE api_keys SET id = gen_random_uuid()', 401, 401],
  ['UPDATE api_keys SET user_id = 2', 200, 403],
  ['UPDATE api_keys SET expires_at = created_at + interval \'1 microsecond\'', 401, 401]
]

for (const [text, user, admin] of CHANGES) {
  test(`a change in psql takes effect: ${text}`, async t => {
    const service = await shareApp(t)
    await service.signUp('ada', ['user', 'admin'])
    await service.signUp('bob')
    const { key } = await addKey(service, 1)
    const statuses = async () => JSON.stringify([await enter(service, key), (await service.get('/api/test/admin', { 'x-api-key': key })).status])
    t.equal(await statuses(), '[200,200]')
    await service.sql(text)
    await until('the change', async () => await statuses() === JSON.stringify([user, admin]))
  })
}
