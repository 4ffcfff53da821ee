import { test } from 'tap'
import { readSettings } from '../../src/config/read-settings.ts'
import { type TestApp } from '../support/app.ts'
import { SERVICE } from '../support/settings.ts'
import { shareApp } from '../support/shared-app.ts'

const origin = 'http://localhost:8081'

test('the response to the preflight of an allowed origin says what the page may send', async t => {
  const { app } = await shareApp(t)
  const response = await app.inject({
    method: 'OPTIONS',
    url: '/api/auth/signin',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-access-token' }
  })
  t.equal(response.statusCode, 204)
  t.equal(response.headers['access-control-allow-origin'], origin)
  t.equal(response.headers['access-control-allow-headers'], 'x-access-token, authorization, origin, content-type, accept')
  t.equal(response.headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT, PATCH, DELETE')
  t.equal(response.headers['access-control-max-age'], '600')
  t.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/)
  t.equal(response.headers['x-content-type-options'], 'nosniff')
})

const allowedOrigin = async ({ get }: TestApp, origin: string) =>
  (await get('/', { origin })).headers['access-control-allow-origin']

test('any other origin is rejected, but gets its response', async t => {
  const { get } = await shareApp(t)
  for (const other of ['http://localhost:8082', 'https://localhost:8081', 'http://localhost:8081.evil.example', 'null']) {
    const response = await get('/api/test/all', { origin: other })
    t.equal(response.status, 200)
    t.equal(response.headers['access-control-allow-origin'], undefined, other)
    t.match(response.headers['vary'], 'Origin')
  }
})

test('a preflight of a rejected origin allows nothing', async t => {
  const { app } = await shareApp(t)
  const response = await app.inject({
    method: 'OPTIONS',
    url: '/api/auth/signin',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
  })
  t.equal(response.statusCode, 204)
  t.equal(response.headers['access-control-allow-origin'], undefined)
})

test('a rejected origin is logged once, with the setting to change', async t => {
  const service = await shareApp(t)
  for (const sent of ['https://a.example', 'https://b.example', 'https://a.example', origin]) {
    await service.get('/', { origin: sent })
  }
  await service.app.inject({ method: 'OPTIONS', url: '/', headers: { origin: 'https://a.example' } })
  const lines = service.logs.filter(line => 'origin' in line)
  const msg = 'rejected a page of this origin; add the origin to CORS_ORIGIN to allow it'
  t.match(lines, [{ level: 40, origin: 'https://a.example', msg }, { level: 40, origin: 'https://b.example', msg }])
  t.equal(lines.length, 2)
})

test('a request without an origin is none of CORS', async t => {
  const { app, get, logs } = await shareApp(t)
  const response = await get('/api/test/all')
  t.equal(response.status, 200)
  t.equal(response.headers['access-control-allow-origin'], undefined)
  t.match(response.headers['vary'], 'Origin')
  t.strictSame(logs.filter(line => 'origin' in line), [])
  const options = await app.inject({ method: 'OPTIONS', url: '/api/test/all' })
  t.strictSame([options.statusCode, options.json()], [404, { message: 'Route not found.', code: 'ROUTE_NOT_FOUND' }])
})

test('CORS_ORIGIN lists the allowed origins', async t => {
  const service = await shareApp(t, { CORS_ORIGIN: ['https://a.example', 'https://b.example'] })
  t.equal(await allowedOrigin(service, 'https://b.example'), 'https://b.example')
  t.equal(await allowedOrigin(service, origin), undefined)
})

test('the word localhost allows every origin of the local machine', async t => {
  const service = await shareApp(t, { CORS_ORIGIN: ['localhost', 'https://a.example'] })
  for (const allowed of [
    'http://localhost', 'http://localhost:3000', 'https://localhost:8443', 'http://127.0.0.1:5173', 'http://[::1]:5173',
    'https://a.example'
  ]) t.equal(await allowedOrigin(service, allowed), allowed)
  for (const rejected of [
    'http://localhost.evil.example', 'http://evil-localhost:3000', 'http://localhost:3000.evil.example', 'null',
    'http://127.0.0.11', 'http://127.0.0.1.evil.example', 'ftp://localhost', 'http://localhost:port'
  ]) t.equal(await allowedOrigin(service, rejected), undefined, rejected)
})

test('* allows every origin, without reflecting it', async t => {
  const service = await shareApp(t, { CORS_ORIGIN: ['*', 'https://a.example'] })
  for (const allowed of [origin, 'https://a.example', 'null']) t.equal(await allowedOrigin(service, allowed), '*')
  t.equal((await service.get('/', { origin })).headers['access-control-allow-credentials'], undefined)
  const malformed = await service.get('/api/%', { origin })
  t.equal(malformed.status, 400)
  t.match(malformed.headers, { 'access-control-allow-origin': '*', vary: 'Origin' })
})

test('without CORS_ORIGIN no origin is allowed', async t => {
  const service = await shareApp(t, { CORS_ORIGIN: readSettings(SERVICE).CORS_ORIGIN })
  for (const rejected of [origin, 'https://a.example', 'null']) t.equal(await allowedOrigin(service, rejected), undefined)
})

test('a page can read every error response', async t => {
  const { app, post } = await shareApp(t)
  const headers = { origin, 'content-type': 'application/json' }
  const signIn = async (sent: Record<string, string>, payload: string) =>
    await app.inject({ method: 'POST', url: '/api/auth/signin', headers: sent, payload })
  const responses = [
    { status: 401, response: await app.inject({ url: '/api/test/user', headers: { ...headers, 'x-access-token': 'bad' } }) },
    { status: 403, response: await app.inject({ url: '/api/test/user', headers }) },
    { status: 404, response: await app.inject({ url: '/nowhere', headers }) },
    { status: 400, response: await app.inject({ url: '/api/%', headers }) },
    { status: 400, response: await app.inject({ url: `/api/users/${'9'.repeat(101)}`, headers }) },
    { status: 413, response: await signIn(headers, JSON.stringify({ username: 'x'.repeat(17_000) })) },
    { status: 415, response: await signIn({ ...headers, 'content-type': 'text/xml' }, '<a/>') }
  ]
  t.intercept(app.passwords, 'hash', { value: async () => { throw new Error('a fault') } })
  const fault = await post('/api/auth/signup', { username: 'alice', email: 'a@example.com', password: 'correct horse' }, headers)
  t.equal(fault.status, 500)
  t.equal(fault.headers['access-control-allow-origin'], origin)
  for (const { status, response } of responses) {
    t.equal(response.statusCode, status)
    t.equal(response.headers['access-control-allow-origin'], origin, `on ${status}`)
    t.equal(response.headers['access-control-expose-headers'], 'x-request-id, retry-after, www-authenticate')
    t.match(response.headers.vary, 'Origin')
  }
  const rejected = await app.inject({ url: '/api/%', headers: { origin: 'https://evil.example' } })
  t.equal(rejected.headers['access-control-allow-origin'], undefined)
  t.equal(rejected.headers.vary, 'Origin')
})
