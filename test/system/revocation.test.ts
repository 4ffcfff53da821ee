import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import { test } from 'tap'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'

const ROUNDS = 25

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

const enter = async (service: TestApp, token: string) => (await service.get('/api/test/admin', { 'x-access-token': token })).status

interface Target {
  id: number
  sessionId: string
  refreshToken: string
}

type Revocation = [title: string, answer: number, act: (service: TestApp, admin: string, target: Target, psql: pg.Client) => Promise<unknown>]

const send = async ({ app }: TestApp, method: 'PUT' | 'DELETE' | 'POST', url: string, admin: string, payload?: object) => {
  const reply = await app.inject({ method, url, headers: { 'x-access-token': admin }, ...payload && { payload } })
  if (reply.statusCode !== 200) throw new Error(`${url} answered ${reply.statusCode}`)
}

const REVOCATIONS: Revocation[] = [
  ['role removed, API', 403, async (service, admin, { id }) => await send(service, 'PUT', `/api/users/${id}/roles`, admin, { roles: ['user'] })],
  ['role removed, SQL', 403, async (_service, _admin, { id }, psql) => await psql.query('DELETE FROM user_roles WHERE user_id = $1 AND role_id = 3', [id])],
  ['session ended, API', 401, async (service, admin, { refreshToken }) => await send(service, 'POST', '/api/auth/signout', admin, { refreshToken })],
  ['session ended, SQL', 401, async (_service, _admin, { id, sessionId }, psql) =>
    await psql.query('DELETE FROM refresh_tokens WHERE user_id = $1 AND id = $2', [id, sessionId])],
  ['user disabled, API', 401, async (service, admin, { id }) => await send(service, 'PUT', `/api/users/${id}/disabled`, admin, { disabled: true })],
  ['user disabled, SQL', 401, async (_service, _admin, { id }, psql) => await psql.query('UPDATE users SET disabled_at = now() WHERE id = $1', [id])],
  ['user deleted, API', 401, async (service, admin, { id }) => await send(service, 'DELETE', `/api/users/${id}`, admin)],
  ['user deleted, SQL', 401, async (_service, _admin, { id }, psql) => await psql.query('DELETE FROM users WHERE id = $1', [id])]
]

test('what takes authority away acts on the next request, on this instance and on another', async t => {
  const url = await createDatabase(t)
  const [here, there] = [await startApp(t, { DATABASE_URL: url }), await startApp(t, { DATABASE_URL: url })]
  await here.signUp('root', ['user', 'admin'])
  const admin = (await here.signIn('root')).accessToken
  const psql = new pg.Client({ connectionString: url })
  await psql.connect()
  t.teardown(async () => await psql.end())
  const delays = { here: [] as number[], there: [] as number[] }

  /** Milliseconds from `since` until an instance refuses a token. */
  const refusedAfter = async (service: TestApp, token: string, answer: number, since: number): Promise<number> => {
    for (;;) {
      const asked = performance.now()
      const status = await enter(service, token)
      if (status === answer) return asked - since
      // Requests come through the event loop, and so do announcements; without a turn of it these would come first for ever.
      await setImmediate()
      if (status !== 200 || asked - since > 5000) throw new Error(`answered ${status} after ${asked - since} ms`)
    }
  }

  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [title, answer, act]] of REVOCATIONS.entries()) {
      const name = `user${round}-${index}`
      await here.signUp(name, ['user', 'admin'])
      const { id, accessToken, refreshToken } = await here.signIn(name)
      const { sid: sessionId } = here.app.accessTokens.verify(accessToken)
      for (const service of [here, there]) if (await enter(service, accessToken) !== 200) throw new Error(`${name} is no admin`)
      await act(here, admin, { id, sessionId, refreshToken }, psql)
      const since = performance.now()
      const [near, far] = await Promise.all([
        refusedAfter(here, accessToken, answer, since), refusedAfter(there, accessToken, answer, since)
      ])
      delays.here.push(near)
      delays.there.push(far)
      if (title.endsWith('API') && near > 50) t.fail(`${title}: ${near} ms on the instance that did it`)
    }
  }
  for (const [where, measured] of Object.entries(delays)) {
    t.equal(measured.length, 200)
    t.comment(`${where}: median ${median(measured).toFixed(2)} ms, worst ${Math.max(...measured).toFixed(1)} ms`)
    t.ok(median(measured) < 50, `${where}: median ${median(measured)} ms`)
    t.ok(Math.max(...measured) < 1000, `${where}: worst ${Math.max(...measured)} ms`)
  }
})
