import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Test, test } from 'tap'
import { property } from '../../src/unknown.ts'
import { createDatabase, PASSWORD, startApp, type TestApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { freePort } from '../support/port.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

// With a real Redis (Debian: redis-server). The other tests need none.

async function startRedis (t: Test, port: number) {
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    cwd: await createFolder(t), stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'close')
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  t.teardown(stop)
  let output = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  await until('Redis', () => output.includes('Ready to accept connections'), 10_000)
  return { url: `redis://127.0.0.1:${port}`, stop }
}

const signIn = async (service: TestApp, password: string) => {
  const { status, headers, body } = await service.post('/api/auth/signin', { username: 'alice', password })
  return { status, retryAfter: headers['retry-after'], code: property(body, 'code') }
}

test('with REDIS_URL two instances count failed sign-ins in Redis, and none in PostgreSQL', async t => {
  const { url: REDIS_URL } = await startRedis(t, await freePort())
  const settings = { DATABASE_URL: await createDatabase(t), REDIS_URL, SIGNIN_DELAY: 1 }
  const services = [await startApp(t, settings), await startApp(t, settings)] as const
  await services[0].signUp('alice')
  const responses = await Promise.all(Array.from({ length: 200 }, async (_, i) =>
    await signIn(services[i % 2 ? 1 : 0], 'wrong horse')))
  t.equal(responses.filter(({ status }) => status === 401).length, 10)
  t.equal(responses.filter(({ status }) => status === 429).length, 190)
  const { status, retryAfter } = await signIn(services[0], PASSWORD)
  t.strictSame([status, retryAfter], [429, '1'])
  await until('the end of the delay', async () => (await signIn(services[0], PASSWORD)).status === 200, 5000)
  t.strictSame(await services[0].sql('SELECT FROM rate_limits'), [])
})

test('a connection to Redis whose packets are dropped is replaced', async t => {
  const { url } = await startRedis(t, await freePort())
  const proxy = await openProxy(t, url)
  const service = await startApp(t, { REDIS_URL: proxy.url, DATABASE_QUERY_TIMEOUT: 1 })
  await service.signUp('alice')
  proxy.freeze()
  t.equal((await signIn(service, PASSWORD)).status, 503)
  await until('the loss', () => service.logs.some(({ msg }) => msg.startsWith('Redis: Socket timeout')), 10_000)
})

test('with REDIS_URL requests are counted there', async t => {
  const { url: REDIS_URL } = await startRedis(t, await freePort())
  const service = await startApp(t, { REDIS_URL, RATE_LIMIT_SIGNIN: 2 })
  await service.signUp('alice')
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await signIn(service, PASSWORD)).status)
  t.strictSame(statuses, [200, 200, 429])
})

test('a counter in Redis that is taken back to 0 is deleted', async t => {
  const { url: REDIS_URL } = await startRedis(t, await freePort())
  const { app } = await startApp(t, { REDIS_URL })
  const counter = app.createCounter({ name: 'tests', duration: 60 })
  await counter.add('a', 2)
  await counter.add('a', -1)
  t.strictSame(await app.redis?.keys('*'), ['gatehouse:tests:a'])
  await counter.add('a', -1)
  t.strictSame(await app.redis?.keys('*'), [])
})

test('while Redis is unavailable, sign-ins get 503, requests with a token do not, and afterwards sign-ins succeed', async t => {
  const port = await freePort()
  const redis = await startRedis(t, port)
  const service = await startApp(t, { REDIS_URL: redis.url })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  await redis.stop()
  t.strictSame(await signIn(service, PASSWORD), { status: 503, retryAfter: '1', code: 'DATABASE_UNAVAILABLE' })
  t.equal((await service.get('/api/test/user', { 'x-access-token': accessToken })).status, 200)
  await startRedis(t, port)
  await until('a sign-in', async () => (await signIn(service, PASSWORD)).status === 200, 10_000)
})

test('a Redis that is unavailable at the start does not prevent it', async t => {
  const port = await freePort()
  const service = await startApp(t, { REDIS_URL: `redis://127.0.0.1:${port}` })
  await service.signUp('alice')
  t.equal((await signIn(service, PASSWORD)).status, 503)
  await startRedis(t, port)
  await until('a sign-in', async () => (await signIn(service, PASSWORD)).status === 200, 10_000)
})
