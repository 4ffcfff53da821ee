import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

test('the liveness probe does not ask the database', async t => {
  const { app, get } = await shareApp(t)
  t.intercept(app.db, 'query', { value: async () => { throw new Error('the database was queried') } })
  const response = await get('/health/live')
  t.equal(response.status, 200)
  t.strictSame(response.body, { status: 'ok' })
})

test('a process whose database responds is ready', async t => {
  const { get } = await shareApp(t)
  const response = await get('/health/ready')
  t.equal(response.status, 200)
  t.strictSame(response.body, { status: 'ready' })
})

test('concurrent probes share one statement, and the next one asks again', async t => {
  const { app, get } = await shareApp(t)
  const query = app.db.query
  let queries = 0
  t.intercept(app.db, 'query', {
    value: async (...args: Parameters<typeof query>) => {
      queries++
      return await query(...args)
    }
  })
  const responses = await Promise.all(Array.from({ length: 20 }, async () => await get('/health/ready')))
  t.strictSame(new Set(responses.map(({ status }) => status)), new Set([200]))
  t.ok(queries < 20, `${queries} statements`)
  const before = queries
  t.equal((await get('/health/ready')).status, 200)
  t.equal(queries, before + 1)
})

test('a process whose database is unavailable is not ready', async t => {
  const { app, get } = await shareApp(t)
  t.intercept(app.db, 'query', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  const response = await get('/health/ready')
  t.equal(response.status, 503)
  t.equal(response.headers['retry-after'], '1')
  t.strictSame(response.body, { message: 'The database is unavailable. Please try again.', code: 'DATABASE_UNAVAILABLE' })
})

test('a process beyond MAX_MEMORY_MIB is not ready, but alive', async t => {
  const { get } = await shareApp(t, { MAX_MEMORY_MIB: 1 })
  const response = await until('the memory to be checked', async () => {
    const found = await get('/health/ready')
    return found.status === 503 && found
  })
  t.equal(response.headers['retry-after'], '1')
  t.strictSame(response.body, { message: 'The service is overloaded. Please try again.', code: 'OVERLOADED' })
  t.equal((await get('/health/live')).status, 200)
  t.equal((await get('/api/test/all')).status, 200, 'requests that arrive are served')
})

test('a process whose memory cannot be read is not ready', async t => {
  const { get } = await shareApp(t, { MAX_MEMORY_MIB: 1_000_000 })
  t.equal((await get('/health/ready')).status, 200)
  t.intercept(process.memoryUsage, 'rss', { value: () => { throw new Error('EMFILE') } })
  t.match(await get('/health/ready'), { status: 503, body: { code: 'OVERLOADED' } })
})

test('a process beyond MAX_EVENT_LOOP_DELAY is not ready', async t => {
  const { get } = await shareApp(t, { MAX_EVENT_LOOP_DELAY: 20 })
  const block = setInterval(() => {
    const end = Date.now() + 200
    while (Date.now() < end);
  }, 1)
  t.teardown(() => clearInterval(block))
  t.match(await until('the delay to be checked', async () => {
    const found = await get('/health/ready')
    return found.status === 503 && found
  }), { body: { code: 'OVERLOADED' } })
})
