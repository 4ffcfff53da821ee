import pg from 'pg'
import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { startApp } from '../support/app.ts'
import { buildWith } from '../support/routes.ts'
import { until } from '../support/wait.ts'

const tooLate = { message: 'The request took too long. Please try again.', code: 'DEADLINE_EXCEEDED' }

test('a request that waits for the database beyond REQUEST_DEADLINE gets 503, and its work is dropped', async t => {
  const service = await startApp(t, { REQUEST_DEADLINE: 1 })
  await service.signUp('ann', ['admin'])
  await service.signUp('bob')
  const ann = await service.signIn('ann')
  const other = new pg.Client(service.url)
  await other.connect()
  t.teardown(async () => { await other.end() })
  await other.query('BEGIN')
  await other.query('SELECT FROM users WHERE username = \'bob\' FOR UPDATE')
  const response = await service.as(ann.accessToken, 'PUT', '/api/users/2/roles', { roles: ['admin'] })
  t.strictSame([response.status, response.body], [503, tooLate])
  t.equal(response.headers['retry-after'], '1')
  await other.query('COMMIT')

  await until('the transaction to end', async () => service.app.db.connections().idle === service.app.db.connections().total)
  t.strictSame(await service.sql('SELECT role_id FROM user_roles WHERE user_id = 2'), [{ role_id: 1 }])
  t.strictSame(await service.sql('SELECT event FROM audit_events WHERE event <> \'user_created\''), [])
  t.match(service.logs.filter(line => Number(line['level']) >= 40), [
    { level: 40, msg: 'request failed', code: 'DEADLINE_EXCEEDED' }
  ])
  t.equal((await service.as(ann.accessToken, 'PUT', '/api/users/2/roles', { roles: ['admin'] })).status, 200)
})

test('what a handler returns after the deadline is dropped, and an unexpected error is logged as a warning', async t => {
  const work = { done: () => {}, fail: (_error: Error) => {} }
  const { app, logs } = await buildWith(t, app => {
    const access = 'public'
    app.get('/slow', { config: { access } }, async () => await new Promise(resolve => { work.done = () => { resolve({}) } }))
    app.get('/broken', { config: { access } }, async () => await new Promise((_resolve, reject) => { work.fail = reject }))
  }, { REQUEST_DEADLINE: 1 })
  for (const path of ['/slow', '/broken']) {
    const response = await app.inject(path)
    t.strictSame([response.statusCode, response.json()], [503, tooLate])
  }
  work.done()
  work.fail(new Error('unexpected'))
  await until('the warning', () => logs.some(({ msg }) => msg === 'failed after its deadline'))
  t.match(logs.filter(line => Number(line['level']) >= 40 && line['code'] === undefined), [
    { level: 40, msg: 'failed after its deadline', err: { message: 'unexpected' } }
  ])
})

test('beyond the deadline no statement is begun and no transaction is committed', async t => {
  const { app: { db }, signUp, sql } = await startApp(t)
  await signUp('ann')
  let late = false
  const isLate = () => late
  const rename = (name: string) => ({ name: `rename_${name}`, text: 'UPDATE users SET username = $1', values: [name] })
  const code = (error: unknown) => error instanceof ApiError && error.code
  const names = async () => await sql('SELECT username FROM users')

  const committing = db.transaction(async transaction => {
    await transaction.query(rename('eve'))
    late = true
  }, isLate)
  t.equal(await committing.catch(code), 'DEADLINE_EXCEEDED')
  t.equal(await db.query(rename('eve'), isLate).catch(code), 'DEADLINE_EXCEEDED')
  t.equal(await db.transaction(async () => {}, isLate).catch(code), 'DEADLINE_EXCEEDED')
  late = false
  const continued = db.transaction(async transaction => {
    late = true
    await transaction.query(rename('eve'))
  }, isLate)
  t.equal(await continued.catch(code), 'DEADLINE_EXCEEDED')
  t.strictSame(await names(), [{ username: 'ann' }])
  late = false
  await db.query(rename('eve'), isLate)
  t.strictSame(await names(), [{ username: 'eve' }])
})

test('a client that disconnects does not stop what it has requested', async t => {
  const service = await startApp(t)
  await service.signUp('ann')
  const { accessToken } = await service.signIn('ann')
  const address = await service.app.listen({ port: 0, host: '127.0.0.1' })
  const other = new pg.Client(service.url)
  await other.connect()
  t.teardown(async () => { await other.end() })
  await other.query('BEGIN')
  await other.query('SELECT FROM users FOR UPDATE')
  const abort = new AbortController()
  const headers = { 'x-access-token': accessToken }
  const signOut = fetch(`${address}/api/auth/signout/all`, { method: 'POST', headers, signal: abort.signal })
  await until('the first of its statements to wait', async () =>
    (await service.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0)
  abort.abort()
  await t.rejects(signOut)
  await other.query('COMMIT')
  await until('the session to end', async () => (await service.sql('SELECT FROM refresh_tokens')).length === 0)
  t.pass()
})
