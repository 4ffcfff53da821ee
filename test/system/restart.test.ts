import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'
import { PASSWORD, signUpBody, sql, startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'

/** Other load on the machine may double times. */
const MARGIN = 2
/** The default of SESSION_CACHE_HEARTBEAT and half a second, in milliseconds. */
const CACHE_LIFETIME = 1500 * MARGIN
const RECOVERY = 5000 * MARGIN

const unavailable = { message: 'The database is unavailable. Please try again.', code: 'DATABASE_UNAVAILABLE' }

test('killed backends and a restarting PostgreSQL under load', async t => {
  const postgres = await EmbeddedPostgres.at(join(await createFolder(t), 'postgres'), 'secret')
  await postgres.start()
  t.teardown(async () => await postgres.stop('immediate'))
  const url = postgres.url()
  const service = await startApp(t, { DATABASE_URL: url, MAX_SESSIONS_PER_USER: 10_000 })
  const address = await service.app.listen({ port: 0, host: '127.0.0.1' })
  await service.signUp('alice')
  const alice = await service.signIn('alice')

  const seen = new Map<number, number>()
  const acknowledged: string[] = []
  let made = 0
  const load = { on: true }
  const send = async (path: string, body?: unknown) => {
    const response = await fetch(`${address}/api/${path}`, {
      headers: { 'x-access-token': alice.accessToken, 'content-type': 'application/json' },
      ...body !== undefined && { method: 'POST', body: JSON.stringify(body) }
    })
    const { status } = response
    seen.set(status, (seen.get(status) ?? 0) + 1)
    const text = await response.text()
    if (status === 503) t.strictSame([JSON.parse(text), response.headers.get('retry-after')], [unavailable, '1'])
    else if (status !== 200) t.fail(`${path} was answered by ${status}: ${text}`)
    return status
  }
  const repeat = async (once: () => Promise<unknown>) => {
    while (load.on) {
      await once()
      await sleep(10)
    }
  }
  const running = Promise.all([
    repeat(async () => {
      const name = `user${made++}`
      if (await send('auth/signup', signUpBody(name)) === 200) acknowledged.push(name)
    }),
    repeat(async () => await send('auth/signin', { username: 'alice', password: PASSWORD })),
    repeat(async () => await send('auth/refreshtoken', { refreshToken: alice.refreshToken })),
    repeat(async () => await send('users/me')),
    repeat(async () => await send('test/user'))
  ])

  /** Waits for load on a working database, so that what follows interrupts it. */
  const underLoad = async () => {
    const goal = acknowledged.length + 5
    await until('sign-ups', () => acknowledged.length >= goal)
  }
  const recovers = async (what: string) => await t.test(`${what}: succeeds again within 5 s`, async t => {
    const begin = Date.now()
    const signIn = async () => await send('auth/signin', { username: 'alice', password: PASSWORD })
    await until('a sign-in', async () => await signIn() === 200)
    t.ok(Date.now() - begin < RECOVERY, `${Date.now() - begin} ms`)
  })

  for (let i = 0; i < 3; i++) {
    await underLoad()
    await sql(url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`)
    await recovers('every backend killed')
  }
  for (const mode of ['fast', 'immediate'] as const) {
    await service.signUp(mode)
    const victim = await service.signIn(mode)
    const enter = async () => (await service.get('/api/test/user', { 'x-access-token': victim.accessToken })).status
    t.equal(await enter(), 200)
    await underLoad()
    await postgres.stop(mode)
    const since = Date.now()
    t.equal(await send('users/me'), 503)
    await until('the session cache not to be used', async () => await enter() === 503)
    t.ok(Date.now() - since < CACHE_LIFETIME, `${Date.now() - since} ms`)
    await postgres.start({ port: Number(new URL(url).port) })
    await sql(url, 'DELETE FROM refresh_tokens WHERE user_id = $1', [victim.id])
    // Many, because the listener reconnects at some point between them.
    const statuses = new Set<number>()
    for (let i = 0; i < 100; i++) {
      statuses.add(await enter())
      await sleep(10)
    }
    t.notOk(statuses.has(200), 'a session that ended while the connection was lost is never accepted')
    t.ok(statuses.has(401))
    await recovers(mode)
  }
  load.on = false
  await running

  t.ok((seen.get(503) ?? 0) > 0)
  t.ok((seen.get(200) ?? 0) > 100)
  t.ok(acknowledged.length >= 25)
  const partial = 'SELECT username FROM users WHERE NOT EXISTS (SELECT FROM user_roles WHERE user_id = users.id)'
  t.strictSame(await sql(url, partial), [], 'no user is partly written')
  const kept = await sql<{ username: string }>(url, 'SELECT username FROM users')
  const names = new Set(kept.map(row => row.username))
  t.strictSame(acknowledged.filter(name => !names.has(name)), [], 'every acknowledged user exists')
})
