import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { startApp } from '../support/app.ts'

test('a process that answers is alive, and asks the database nothing for that', async t => {
  const { app, get } = await startApp(t)
  t.intercept(app.db, 'query', { value: async () => { throw new Error('the database was asked') } })
  const reply = await get('/health/live')
  t.equal(reply.status, 200)
  t.strictSame(reply.body, { status: 'ok' })
})

test('a process whose database answers is ready', async t => {
  const { get } = await startApp(t)
  const reply = await get('/health/ready')
  t.equal(reply.status, 200)
  t.strictSame(reply.body, { status: 'ready' })
})

test('a process whose database is away is not ready', async t => {
  const { app, get } = await startApp(t)
  t.intercept(app.db, 'query', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  const reply = await get('/health/ready')
  t.equal(reply.status, 503)
  t.equal(reply.headers['retry-after'], '1')
  t.strictSame(reply.body, { message: 'The database is not available. Please try again.', code: 'DATABASE_UNAVAILABLE' })
})
