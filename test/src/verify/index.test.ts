import cors from '@fastify/cors'
import Fastify, { type FastifyInstance, type InjectOptions } from 'fastify'
import { type Test, test } from 'tap'
import verify, { type Access } from '../../../src/verify/index.ts'
import { createIssuer, startKeyServer } from '../../support/key-server.ts'

const choices = 'Add config: { access } with one of: public, signed-in, moderator, admin, moderator or admin.'

/** A server with a route for each access policy, over a key server. */
async function start (t: Test, more: (app: FastifyInstance) => void = () => {}) {
  const issuer = createIssuer('EdDSA', 'a')
  const keys = await startKeyServer(t, issuer.jwk)
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(async () => await app.close())
  await app.register(verify, { gatehouse: keys.url, audience: 'orders', maxAge: 0 })
  app.get('/public', { config: { access: 'public' } }, async () => 'everybody')
  for (const access of ['signed-in', 'moderator', 'admin', 'moderator or admin'] as const) {
    app.get(`/${access.replaceAll(' ', '-')}`, { config: { access } }, async ({ claims: { id, roles } }) => ({ id, roles }))
  }
  more(app)
  const ask = async (url: string, headers: InjectOptions['headers'] = {}) => {
    const { statusCode, headers: sent, payload } = await app.inject({ url, headers })
    const body: unknown = String(sent['content-type']).startsWith('application/json') ? JSON.parse(payload) : payload
    return { status: statusCode, headers: sent, body }
  }
  return { app, keys, issuer, lines, ask, as: async (token: string, url: string) => await ask(url, { 'x-access-token': token }) }
}

const unauthorized = { status: 401, body: { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' } }

test('a route admits the callers that its access names, and gives its handler their claims', async t => {
  const { as, issuer } = await start(t)
  const denied = (message: string, code: string) => ({ status: 403, body: { message, code } })
  const expected = {
    user: {
      '/public': { status: 200, body: 'everybody' },
      '/signed-in': { status: 200, body: { id: 7, roles: ['user'] } },
      '/moderator': denied('Require Moderator Role!', 'MODERATOR_REQUIRED'),
      '/admin': denied('Require Admin Role!', 'ADMIN_REQUIRED'),
      '/moderator-or-admin': denied('Require Moderator or Admin Role!', 'MODERATOR_OR_ADMIN_REQUIRED')
    },
    moderator: {
      '/signed-in': { status: 200, body: { id: 7, roles: ['moderator'] } },
      '/moderator': { status: 200, body: { id: 7, roles: ['moderator'] } },
      '/admin': denied('Require Admin Role!', 'ADMIN_REQUIRED'),
      '/moderator-or-admin': { status: 200, body: { id: 7, roles: ['moderator'] } }
    },
    admin: {
      '/moderator': denied('Require Moderator Role!', 'MODERATOR_REQUIRED'),
      '/admin': { status: 200, body: { id: 7, roles: ['admin'] } },
      '/moderator-or-admin': { status: 200, body: { id: 7, roles: ['admin'] } }
    }
  }
  for (const [role, responses] of Object.entries(expected)) {
    const token = await issuer.issue({ roles: [role] })
    for (const [url, response] of Object.entries(responses)) {
      const { status, body } = await as(token, url)
      t.strictSame({ status, body }, response, `${role} ${url}`)
    }
  }
})

test('a missing, an expired and an invalid token get the responses of gatehouse', async t => {
  const { ask, as, issuer } = await start(t)
  const missing = await ask('/signed-in')
  t.strictSame([missing.status, missing.body], [403, { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' }])
  const expired = await as(await issuer.issue({ exp: 1 }), '/signed-in')
  t.strictSame([expired.status, expired.body],
    [401, { message: 'Unauthorized! Access Token was expired!', code: 'ACCESS_TOKEN_EXPIRED' }])
  const invalid = await as('garbage', '/signed-in')
  t.match(invalid, unauthorized)
  for (const { headers } of [missing, expired, invalid]) {
    t.match(headers, { 'www-authenticate': 'Bearer', 'cache-control': 'no-store', 'content-type': /^application\/json/ })
  }
})

test('the token may be in either header or in both, but two that differ are invalid', async t => {
  const { ask, issuer } = await start(t)
  const [token, other] = [await issuer.issue(), await issuer.issue({ id: 8 })]
  for (const headers of [
    { 'x-access-token': token }, { authorization: `bearer  ${token}` }, { 'x-access-token': token, authorization: `Bearer ${token}` }
  ]) t.equal((await ask('/signed-in', headers)).status, 200)
  t.match(await ask('/signed-in', { 'x-access-token': token, authorization: `Bearer ${other}` }), unauthorized)
})

test('a public route ignores tokens, and has no claims', async t => {
  const { as, issuer } = await start(t, app => {
    app.get('/claims', { config: { access: 'public' } }, async ({ claims }) => claims)
  })
  const response = await as('garbage', '/public')
  t.strictSame([response.status, response.body, response.headers['cache-control']], [200, 'everybody', undefined])
  t.match(await as(await issuer.issue(), '/claims'), { status: 500, body: { message: 'a public route has no claims' } })
})

test('an unknown route is not found, and HEAD has the access of GET', async t => {
  const { app, ask } = await start(t)
  t.equal((await ask('/nothing')).status, 404)
  t.equal((await app.inject({ method: 'HEAD', url: '/admin' })).statusCode, 403)
  t.equal((await app.inject({ method: 'HEAD', url: '/public' })).statusCode, 200)
})

test('a route without a valid access prevents the start', async t => {
  await t.rejects(start(t, app => { app.get('/open', async () => 'open') }),
    { message: `Route GET /open declares no valid access. ${choices}` })
  for (const access of ['superuser', 'toString', '__proto__']) {
    await t.rejects(start(t, app => { app.post('/open', { config: { access: access as Access } }, async () => 'open') }),
      { message: `Route POST /open declares no valid access. ${choices}` })
  }
})

test('routes that were registered before the plugin are guarded too', async t => {
  const { jwk } = createIssuer('EdDSA', 'a')
  const { url: gatehouse } = await startKeyServer(t, jwk)
  const app = Fastify()
  t.teardown(async () => await app.close())
  // Not awaited, so the routes come first.
  app.register(verify, { gatehouse, audience: 'orders' })
  app.get('/orders', { config: { access: 'signed-in' } }, async () => 'orders')
  app.get('/open', async () => 'open')
  t.equal((await app.inject('/orders')).statusCode, 403)
  const { statusCode, body } = await app.inject('/open')
  t.strictSame([statusCode, JSON.parse(body)], [500, {
    statusCode: 500, error: 'Internal Server Error', message: `Route GET /open declares no valid access. ${choices}`
  }])
})

test('the preflight requests of @fastify/cors work, and its headers are on denials', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(cors, { origin: 'https://app.example.com' })
  await app.register(verify, { gatehouse: 'http://127.0.0.1:9', audience: 'orders' })
  app.get('/orders', { config: { access: 'signed-in' } }, async () => 'orders')
  const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'GET' }
  t.equal((await app.inject({ method: 'OPTIONS', url: '/orders', headers })).statusCode, 204)
  t.match(await app.inject({ url: '/orders', headers }),
    { statusCode: 403, headers: { 'access-control-allow-origin': 'https://app.example.com' } })
})

test('while the keys cannot be fetched, guarded routes return 503 and the reason is logged', async t => {
  const { ask, as, keys, issuer, lines } = await start(t)
  const token = await issuer.issue()
  t.equal((await as(token, '/signed-in')).status, 200)
  t.strictSame(lines, [])
  keys.respond(500, '')
  const response = await as(token, '/signed-in')
  t.match(response, { status: 503, headers: { 'retry-after': '1', 'cache-control': 'no-store' } })
  t.strictSame(response.body, { message: 'Access tokens cannot be verified now. Please try again.', code: 'KEYS_UNAVAILABLE' })
  t.match(lines.map(line => JSON.parse(line) as unknown), [{ level: 50, err: { message: /Expected 200 OK/ } }])
  t.equal((await ask('/public')).status, 200)
  keys.respond(200, JSON.stringify({ keys: [issuer.jwk] }))
  t.equal((await as(token, '/signed-in')).status, 200)
})

test('the server starts without keys, and logs what is wrong', async t => {
  const { app, keys, lines } = await start(t)
  keys.publish()
  await app.ready()
  t.match(lines.map(line => JSON.parse(line) as unknown), [{ level: 40, msg: /^gatehouse publishes no key at .*JWT_KEYS_FILE/ }])
})
