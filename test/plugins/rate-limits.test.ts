import { test } from 'tap'
import { createDatabase, PASSWORD, signUpBody, startApp, type TestApp } from '../support/app.ts'

const tooMany = { message: 'Too many requests. Please wait and try again.', code: 'TOO_MANY_REQUESTS' }

interface Client {
  from?: string
  /** X-Forwarded-For */
  forwarded?: string
}

const signIn = async ({ app }: TestApp, { from = '192.0.2.1', forwarded }: Client = {}) => {
  const response = await app.inject({
    method: 'POST',
    url: '/api/auth/signin',
    remoteAddress: from,
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    payload: { username: 'alice', password: PASSWORD }
  })
  return response.statusCode
}

const refresh = async ({ post }: TestApp, refreshToken: unknown) =>
  (await post('/api/auth/refreshtoken', { refreshToken })).status

test('sign-ins beyond the limit of an address get 429 until the minute ends', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 3 })
  await service.signUp('alice')
  for (let i = 0; i < 3; i++) t.equal(await signIn(service), 200)
  const response = await service.app.inject({
    method: 'POST', url: '/api/auth/signin', remoteAddress: '192.0.2.1', headers: { origin: 'http://localhost:8081' }, payload: {}
  })
  t.equal(response.statusCode, 429)
  t.strictSame(response.json(), tooMany)
  t.match(response.headers, { 'retry-after': '60', 'cache-control': 'no-store', 'access-control-allow-origin': 'http://localhost:8081' })
  t.equal(response.headers['x-ratelimit-limit'], undefined)
  t.equal(await signIn(service, { from: '192.0.2.2' }), 200, 'another address')

  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 60_000 })
  t.equal(await signIn(service), 200)
})

test('sign-ups are limited by address, with a count of their own', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNUP: 1, RATE_LIMIT_SIGNIN: 1 })
  t.equal((await service.post('/api/auth/signup', signUpBody('alice'))).status, 200)
  t.strictSame((await service.post('/api/auth/signup', signUpBody('bob'))).body, tooMany)
  t.ok((await service.signIn('alice')).accessToken)
})

test('the addresses of one IPv6 /64 network count as one client', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 1 })
  await service.signUp('alice')
  t.equal(await signIn(service, { from: '2001:db8::1' }), 200)
  t.equal(await signIn(service, { from: '2001:db8::2' }), 429)
  t.equal(await signIn(service, { from: '2001:db8:0:1::1' }), 200)
})

test('a forwarded address counts only if it comes from a trusted proxy', async t => {
  const plain = await startApp(t, { RATE_LIMIT_SIGNIN: 1 })
  await plain.signUp('alice')
  t.equal(await signIn(plain, { forwarded: '198.51.100.1' }), 200)
  t.equal(await signIn(plain, { forwarded: '198.51.100.2' }), 429, 'a forged header does not evade the limit')

  const behind = await startApp(t, { RATE_LIMIT_SIGNIN: 1, TRUST_PROXY: ['192.0.2.0/24'] })
  await behind.signUp('alice')
  t.equal(await signIn(behind, { forwarded: '198.51.100.1' }), 200)
  t.equal(await signIn(behind, { forwarded: '198.51.100.2' }), 200)
  t.equal(await signIn(behind, { forwarded: '203.0.113.9, 198.51.100.2' }), 429, 'only the last address is the proxy\'s, the client wrote the rest')
  t.equal(await signIn(behind, { from: '203.0.113.1', forwarded: '198.51.100.3' }), 200)
  t.equal(await signIn(behind, { from: '203.0.113.1', forwarded: '198.51.100.4' }), 429, 'not from the proxy')
})

test('if a proxy forwards no address, its own address counts', async t => {
  const service = await startApp(t, { TRUST_PROXY: ['192.0.2.1'] })
  await service.signUp('alice')
  t.equal(await signIn(service, { forwarded: `unknown-${'x'.repeat(500)}` }), 200)
  t.strictSame(await service.sql('SELECT ip FROM refresh_tokens'), [{ ip: '192.0.2.1' }])
})

test('replicas share their counts', async t => {
  const url = await createDatabase(t)
  const settings = { DATABASE_URL: url, RATE_LIMIT_SIGNIN: 10 }
  const [here, there] = [await startApp(t, settings), await startApp(t, settings)]
  await here.signUp('alice')
  const seen: number[] = []
  for (let i = 0; i < 6; i++) seen.push(await signIn(here), await signIn(there))
  t.strictSame(seen, [...new Array<number>(10).fill(200), 429, 429])
})

test('a client far below the limit causes no statement', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 100 })
  await service.signUp('alice')
  for (let i = 0; i < 4; i++) await signIn(service)
  t.strictSame(await service.sql('SELECT key, points FROM rate_limits WHERE key LIKE \'requests:%\''), [])
  await signIn(service)
  t.strictSame(await service.sql('SELECT key, points FROM rate_limits WHERE key LIKE \'requests:%\''),
    [{ key: 'requests:/api/auth/signin 192.0.2.1', points: 5 }])
})

test('refreshes are limited by session, not by address', async t => {
  const service = await startApp(t, { RATE_LIMIT_REFRESH: 3 })
  await service.signUp('alice')
  const [one, other] = [await service.signIn('alice'), await service.signIn('alice')]
  for (let i = 0; i < 3; i++) t.equal(await refresh(service, one.refreshToken), 200)
  t.equal(await refresh(service, one.refreshToken), 429)
  t.equal(await refresh(service, other.refreshToken), 200)
})

test('refreshes without a valid token are limited by address', async t => {
  const service = await startApp(t, { RATE_LIMIT_REFRESH: 3 })
  await service.signUp('alice')
  const { refreshToken } = await service.signIn('alice')
  const statuses = []
  for (const token of ['x', 'y', null, 'z']) statuses.push(await refresh(service, token))
  t.strictSame(statuses, [403, 403, 403, 429])
  t.equal(await refresh(service, refreshToken), 200)
})

test('a client beyond the limit is a security event once a minute', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 1 })
  await service.signUp('alice')
  for (let i = 0; i < 5; i++) await signIn(service)
  const events = service.logs.filter(line => line['event'] === 'excess_rate_limit_exceeded')
  t.match(events, [{ level: 40, ip: '192.0.2.1', route: '/api/auth/signin' }])
  t.equal(events.length, 1)
})

test('0 disables the limit', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 0 })
  await service.signUp('alice')
  for (let i = 0; i < 30; i++) t.equal(await signIn(service), 200)
})

test('the networks of one IPv6 site share sixteen times the limit of one', async t => {
  const service = await startApp(t, { RATE_LIMIT_SIGNIN: 1 })
  await service.signUp('alice')
  for (let i = 0; i < 16; i++) t.equal(await signIn(service, { from: `2001:db8:0:${i}::1` }), 200)
  t.equal(await signIn(service, { from: '2001:db8:0:16::1' }), 429, 'the seventeenth network')
  t.equal(await signIn(service, { from: '2001:db8:1::1' }), 200, 'another site')
})
