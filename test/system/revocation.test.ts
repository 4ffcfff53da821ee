import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import { test } from 'tap'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'

const ROUNDS = 25

const quantile = (values: number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN

const enter = async (service: TestApp, token: string) =>
  (await service.get('/api/test/admin', { 'x-access-token': token })).status

interface Target {
  id: number
  sessionId: string
  refreshToken: string
}

type Revoke = (service: TestApp, admin: string, target: Target, psql: pg.Client) => Promise<unknown>

const send = async (service: TestApp, admin: string, method: 'PUT' | 'DELETE' | 'POST', url: string, payload?: object) => {
  const { status } = await service.as(admin, method, url, payload)
  if (status !== 200) throw new Error(`${url} was answered by ${status}`)
}

/** By title: the status of a request afterwards, and what revokes. */
const REVOCATIONS: Record<string, [status: number, revoke: Revoke]> = {
  'role removed, API': [403, async (service, admin, { id }) =>
    await send(service, admin, 'PUT', `/api/users/${id}/roles`, { roles: ['user'] })],
  'role removed, SQL': [403, async (_service, _admin, { id }, psql) =>
    await psql.query('DELETE FROM user_roles WHERE user_id = $1 AND role_id = 3', [id])],
  'session ended, API': [401, async (service, admin, { refreshToken }) =>
    await send(service, admin, 'POST', '/api/auth/signout', { refreshToken })],
  'session ended, SQL': [401, async (_service, _admin, { id, sessionId }, psql) =>
    await psql.query('DELETE FROM refresh_tokens WHERE user_id = $1 AND id = $2', [id, sessionId])],
  'user disabled, API': [401, async (service, admin, { id }) =>
    await send(service, admin, 'PUT', `/api/users/${id}/disabled`, { disabled: true })],
  'user disabled, SQL': [401, async (_service, _admin, { id }, psql) =>
    await psql.query('UPDATE users SET disabled_at = now() WHERE id = $1', [id])],
  'user deleted, API': [401, async (service, admin, { id }) => await send(service, admin, 'DELETE', `/api/users/${id}`)],
  'user deleted, SQL': [401, async (_service, _admin, { id }, psql) =>
    await psql.query('DELETE FROM users WHERE id = $1', [id])]
}

/** Requests of a revoked session that may be accepted until the invalidation arrives; one takes a fraction of 1 ms. */
const MEDIAN = 50
const PERCENTILE_95 = 1000

test('a revocation takes effect on the next requests, on this instance and on another', async t => {
  const url = await createDatabase(t)
  const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
  await here.signUp('root', ['user', 'admin'])
  const admin = (await here.signIn('root')).accessToken
  const psql = new pg.Client({ connectionString: url })
  await psql.connect()
  t.teardown(async () => await psql.end())

  /** The number of requests that an instance accepts until it denies one. */
  const acceptedBy = async (service: TestApp, token: string, denied: number): Promise<number> => {
    const deadline = Date.now() + 30_000
    for (let accepted = 0; ; accepted++) {
      const status = await enter(service, token)
      if (status === denied) return accepted
      if (status !== 200 || Date.now() > deadline) throw new Error(`answered by ${status} after ${accepted} requests`)
      // Invalidations arrive by the event loop, which injected requests alone would never let turn.
      await setImmediate()
    }
  }

  const accepted = { 'here, by its own API': [] as number[], 'here, by SQL': [] as number[], elsewhere: [] as number[] }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [title, [denied, revoke]]] of Object.entries(REVOCATIONS).entries()) {
      const name = `user${round}-${index}`
      await here.signUp(name, ['user', 'admin'])
      const { id, accessToken, refreshToken } = await here.signIn(name)
      const { sid: sessionId } = here.app.accessTokens.verify(accessToken)
      for (const service of [here, there]) {
        if (await enter(service, accessToken) !== 200) throw new Error(`${name} is no admin`)
      }
      await revoke(here, admin, { id, sessionId, refreshToken }, psql)
      const [near, far] = await Promise.all(
        [here, there].map(async service => await acceptedBy(service, accessToken, denied)))
      accepted[title.endsWith('API') ? 'here, by its own API' : 'here, by SQL'].push(Number(near))
      accepted.elsewhere.push(Number(far))
    }
  }
  const { 'here, by its own API': own, ...others } = accepted
  t.strictSame(own, own.map(() => 0), 'the instance that revokes accepts no further request')
  t.equal(own.length, 4 * ROUNDS)
  for (const [where, counts] of Object.entries(others)) {
    const [median, percentile95] = [quantile(counts, 0.5), quantile(counts, 0.95)]
    t.comment(`${where}: median ${median} requests accepted, 95th percentile ${percentile95}`)
    t.ok(median <= MEDIAN, `${where}: median ${median}`)
    t.ok(percentile95 <= PERCENTILE_95, `${where}: 95th percentile ${percentile95}`)
  }
  t.equal(others.elsewhere.length, 8 * ROUNDS)
})
