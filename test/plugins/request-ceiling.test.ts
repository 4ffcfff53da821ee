import { test } from 'tap'
import { startApp } from '../support/app.ts'

const tooMany = { message: 'Too many requests. Please wait and try again.', code: 'TOO_MANY_REQUESTS' }

test('an address gets 429 beyond RATE_LIMIT_REQUESTS, whatever it asks for, until the minute ends', async t => {
  const { app, logs } = await startApp(t, { RATE_LIMIT_REQUESTS: 3, TRUST_PROXY: ['127.0.0.1'] })
  const get = async (url: string, from = '2001:db8::1') =>
    await app.inject({ url, headers: { 'x-forwarded-for': from, origin: 'http://localhost:8081' } })
  t.strictSame([(await get('/')).statusCode, (await get('/api/test/all')).statusCode, (await get('/x')).statusCode], [200, 200, 404])
  const response = await get('/api/test/all', '2001:db8::2')
  t.equal(response.statusCode, 429, 'another address of the same network')
  t.strictSame(response.json(), tooMany)
  t.match(response.headers, { 'retry-after': '60', 'x-request-id': /^[\da-f-]{36}$/, 'access-control-allow-origin': 'http://localhost:8081' })
  t.equal((await get('/x')).statusCode, 429)
  t.equal((await get('/health/live')).statusCode, 200, 'probes are exempt')
  t.equal((await get('/', '2001:db8:0:1::1')).statusCode, 200, 'another network')
  t.match(logs.filter(line => line['event'] === 'excess_rate_limit_exceeded'), [{ ip: '2001:db8::2', requests: 3 }])

  const now = performance.now()
  t.intercept(performance, 'now', { value: () => now + 60_000 })
  t.equal((await get('/')).statusCode, 200)
})

test('0 disables the ceiling', async t => {
  const { get } = await startApp(t, { RATE_LIMIT_REQUESTS: 0 })
  for (let i = 0; i < 20; i++) t.equal((await get('/')).status, 200)
})
