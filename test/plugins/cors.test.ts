import { test } from 'tap'
import { startApp } from '../support/app.ts'

const origin = 'http://localhost:8081'

test('a preflight of an allowed origin is answered with what it may send', async t => {
  const { app } = await startApp(t)
  const response = await app.inject({
    method: 'OPTIONS',
    url: '/api/auth/signin',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-access-token' }
  })
  t.equal(response.statusCode, 204)
  t.equal(response.headers['access-control-allow-origin'], origin)
  t.equal(response.headers['access-control-allow-headers'], 'x-access-token, authorization, origin, content-type, accept')
  t.equal(response.headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT, DELETE')
  t.equal(response.headers['access-control-max-age'], '600')
  t.match(response.headers['x-request-id'], /^[0-9a-f-]{36}$/)
  t.equal(response.headers['x-content-type-options'], 'nosniff')
})

test('another origin is not allowed', async t => {
  const { get } = await startApp(t)
  for (const other of ['http://localhost:8082', 'https://localhost:8081', 'http://localhost:8081.evil.example', 'null']) {
    const response = await get('/api/test/all', { origin: other })
    t.equal(response.status, 200)
    t.equal(response.headers['access-control-allow-origin'], undefined, other)
    t.match(response.headers['vary'], 'Origin')
  }
})

test('CORS_ORIGIN lists the origins, and * is all of them', async t => {
  const listed = await startApp(t, { CORS_ORIGIN: ['https://a.example', 'https://b.example'] })
  t.equal((await listed.get('/', { origin: 'https://b.example' })).headers['access-control-allow-origin'], 'https://b.example')
  t.equal((await listed.get('/', { origin })).headers['access-control-allow-origin'], undefined)
  const open = await startApp(t, { CORS_ORIGIN: ['*'] })
  t.equal((await open.get('/', { origin })).headers['access-control-allow-origin'], '*')
})

test('a page can see every denial', async t => {
  const { app, post } = await startApp(t)
  const headers = { origin }
  const responses = [
    { status: 401, response: await app.inject({ url: '/api/test/user', headers: { ...headers, 'x-access-token': 'bad' } }) },
    { status: 403, response: await app.inject({ url: '/api/test/user', headers }) },
    { status: 404, response: await app.inject({ url: '/nowhere', headers }) },
    { status: 413, response: await app.inject({ method: 'POST', url: '/api/auth/signin', headers, payload: { username: 'x'.repeat(17_000) } }) },
    { status: 415, response: await app.inject({ method: 'POST', url: '/api/auth/signin', headers: { ...headers, 'content-type': 'text/xml' }, payload: '<a/>' }) }
  ]
  t.intercept(app.passwords, 'hash', { value: async () => { throw new Error('a fault') } })
  const fault = await post('/api/auth/signup', { username: 'alice', email: 'a@example.com', password: 'correct horse' }, headers)
  t.equal(fault.status, 500)
  t.equal(fault.headers['access-control-allow-origin'], origin)
  for (const { status, response } of responses) {
    t.equal(response.statusCode, status)
    t.equal(response.headers['access-control-allow-origin'], origin, `on ${status}`)
  }
})
