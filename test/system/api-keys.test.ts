import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import pg from 'pg'
import { test } from 'tap'
import { encodeKey, hashSecret, newSecret } from '../../src/tokens/api-key.ts'
import { newId } from '../../src/tokens/ids.ts'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'
import { addKey, type NewKey } from '../support/api-keys.ts'
import { until } from '../support/wait.ts'

const enter = async (service: TestApp, key: string, path = '/api/test/admin') =>
  (await service.app.inject({ url: path, headers: { 'x-api-key': key } })).statusCode

/** When each pooled connection of the service ran its last statement. */
const lastStatements = async (service: TestApp) => JSON.stringify(await service.sql(
  'SELECT pid, query_start FROM pg_stat_activity WHERE application_name = \'gatehouse\' AND datname = current_database() ORDER BY pid'))

test('in the steady state, requests with a key and checks need no query, nor does garbage', async t => {
  const service = await startApp(t, { LOG_LEVEL: 'warn' })
  await service.signUp('ada', ['user', 'admin'])
  const { accessToken } = await service.signIn('ada')
  const { key } = await addKey(service, 1)
  const seen = new Set<number>()
  await enter(service, key)
  await until('the use to be recorded', async () =>
    (await service.sql('SELECT FROM api_keys WHERE last_used_at IS NOT NULL')).length > 0)
  const before = await until('2000 requests without a statement', async () => {
    const before = await lastStatements(service)
    for (let i = 0; i < 500; i++) {
      seen.add(await enter(service, key))
      seen.add(await enter(service, key, '/api/auth/check?role=admin'))
      seen.add((await service.get('/api/auth/check', { 'x-access-token': accessToken })).status)
    }
    // A late heartbeat, on a busy machine, makes a request query; then they are sent again.
    return await lastStatements(service) === before && before
  })
  t.strictSame([...seen], [200])

  // Every letter of a key, mistyped.
  let refused = 0
  for (let place = 3; place < key.length; place++) {
    const typed = key.slice(0, place) + (key[place] === 'a' ? 'b' : 'a') + key.slice(place + 1)
    if (await enter(service, typed) === 401) refused++
  }
  t.equal(refused, key.length - 3)
  t.equal(await lastStatements(service), before)
  await service.get('/api/users/me', { 'x-access-token': accessToken })
  t.not(await lastStatements(service), before, 'a statement would have been seen')
})

interface Target extends NewKey {
  userId: number
}

type Revoke = (service: TestApp, admin: string, target: Target, psql: pg.Client) => Promise<unknown>

/** By title: the status of a request afterwards, and what revokes. */
const REVOCATIONS: Record<string, [status: number, revoke: Revoke]> = {
  'deleted by the API': [401, async (service, admin, { userId, id }) =>
    await service.as(admin, 'DELETE', `/api/users/${userId}/keys/${id}`)],
  'deleted by SQL': [401, async (_service, _admin, { id }, psql) =>
    await psql.query('DELETE FROM api_keys WHERE id = $1', [id])],
  'its owner demoted': [403, async (service, admin, { userId }) =>
    await service.as(admin, 'PUT', `/api/users/${userId}/roles`, { roles: ['user'] })],
  'its owner disabled': [401, async (service, admin, { userId }) =>
    await service.as(admin, 'PUT', `/api/users/${userId}/disabled`, { disabled: true })],
  'its owner deleted by SQL': [401, async (_service, _admin, { userId }, psql) =>
    await psql.query('DELETE FROM users WHERE id = $1', [userId])]
}

/** Milliseconds. */
const MEDIAN = 50
const WORST = 1000
const ROUNDS = 40

test('a revoked key is refused by another instance at once', async t => {
  const url = await createDatabase(t)
  const settings = { DATABASE_URL: url, LOG_LEVEL: 'error' } as const
  const [here, there] = [await startApp(t, settings), await startApp(t, settings)]
  await here.signUp('root', ['admin'])
  const admin = (await here.signIn('root')).accessToken
  const psql = new pg.Client({ connectionString: url })
  await psql.connect()
  t.teardown(async () => await psql.end())
  const times: Record<string, number[]> = {}
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [title, [denied, revoke]]] of Object.entries(REVOCATIONS).entries()) {
      const name = `user${round}-${index}`
      await here.signUp(name, ['user', 'admin'])
      const [user] = await here.sql<{ id: string }>('SELECT id FROM users WHERE username = $1', [name])
      const userId = Number(user?.id)
      const added = await addKey(here, userId)
      for (const service of [here, there]) if (await enter(service, added.key) !== 200) throw new Error(`${name} is not admitted`)
      await revoke(here, admin, { ...added, userId }, psql)
      const revoked = performance.now()
      while (await enter(there, added.key) === 200 && performance.now() - revoked < 30_000) await setImmediate()
      t.equal(await enter(there, added.key), denied, `${title}: afterwards`)
      ;(times[title] ??= []).push(performance.now() - revoked)
    }
  }
  const all = Object.values(times).flat().sort((a, b) => a - b)
  t.equal(all.length, 200)
  const [median, worst] = [all[100] ?? NaN, all.at(-1) ?? NaN]
  t.comment(`refused after a median of ${median.toFixed(1)} ms, at worst ${worst.toFixed(1)} ms`)
  t.ok(median <= MEDIAN, `median ${median}`)
  t.ok(worst <= WORST, `worst ${worst}`)
})

test('no key survives that is created while its owner is disabled', async t => {
  const service = await startApp(t, { LOG_LEVEL: 'error' })
  await service.signUp('root', ['admin'])
  const admin = (await service.signIn('root')).accessToken
  let created = 0
  for (let round = 0; round < 40; round++) {
    const name = `user${round}`
    await service.signUp(name)
    const { id, accessToken } = await service.signIn(name)
    const create = async () => await service.as(accessToken, 'POST', '/api/keys', { name })
    const [first, , second] = await Promise.all([
      create(),
      round % 2 === 0
        ? service.as(admin, 'PUT', `/api/users/${id}/disabled`, { disabled: true })
        : service.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [id]),
      create()
    ])
    for (const response of [first, second].filter(({ status }) => status === 201)) {
      created++
      const { key } = response.json<NewKey>()
      await until('the refusal', async () => await enter(service, key, '/api/test/user') === 401)
    }
    await service.sql('UPDATE users SET disabled_at = NULL WHERE id = $1', [id])
  }
  t.comment(`${created} keys were created in time`)
  t.strictSame(await service.sql('SELECT FROM api_keys'), [])
})

/** Keys of one user each, inserted directly. */
async function addKeys (service: TestApp, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, () => ({ keyId: newId(), secret: newSecret() }))
  await service.sql(`WITH added AS (
      INSERT INTO users (username, email)
      SELECT 'user-' || id, 'user-' || id || '@example.com' FROM unnest($1::uuid[]) AS id RETURNING id, username
    ), held AS (
      INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM added
    )
    INSERT INTO api_keys (user_id, id, name, secret_hash, role_ids)
    SELECT added.id, key.id, 'a key', hash, '{1}' FROM unnest($1::uuid[], $2::text[]) AS key (id, hash)
    JOIN added ON username = 'user-' || key.id`,
  [keys.map(({ keyId }) => keyId), keys.map(({ secret }) => hashSecret(secret).toString('base64url'))])
  return keys.map(encodeKey)
}

test('30,000 different keys in turn are admitted, in bounded memory', async t => {
  const service = await startApp(t, { LOG_LEVEL: 'error', SESSION_CACHE_SIZE: 5000 })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heap = () => {
    collect()
    return process.memoryUsage().heapUsed / 2 ** 20
  }
  let refused = 0
  const heaps: number[] = []
  for (let half = 0; half < 2; half++) {
    for (let part = 0; part < 3; part++) {
      const keys = await addKeys(service, 5000)
      await Promise.all(Array.from({ length: 32 }, async (_, first) => {
        for (let index = first; index < keys.length; index += 32) {
          if (await enter(service, String(keys[index]), '/api/test/user') !== 200) refused++
        }
      }))
    }
    heaps.push(heap())
  }
  t.equal(refused, 0)
  t.equal(service.app.sessionCache.stats().entries, 5000)
  const [first = NaN, second = NaN] = heaps
  t.comment(`${first.toFixed(1)} MiB after the first half, ${second.toFixed(1)} MiB after the second`)
  t.ok(second < first * 1.15)
  await until('the uses to be recorded', async () =>
    (await service.sql('SELECT FROM api_keys WHERE last_used_at IS NULL LIMIT 1')).length === 0)
})
