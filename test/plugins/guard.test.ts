import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import type { Access } from '../../src/access.ts'
import { addKey } from '../support/api-keys.ts'
import { signUpBody, startApp, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { buildWith } from '../support/routes.ts'

const choices = 'Add config: { access } with one of: public, signed-in, moderator, admin, moderator or admin.'

test('a route that declares no access prevents the start', async t => {
  const build = buildWith(t, app => { app.route({ method: 'GET', url: '/open', handler: async () => 'open' }) })
  await t.rejects(build, { message: `Route GET /open declares no access. ${choices}` })
})

test('a route that declares an unknown access prevents the start', async t => {
  for (const access of ['superuser', 'toString', '__proto__']) {
    const build = buildWith(t, app => {
      app.route({ method: 'POST', url: '/open', config: { access: access as Access }, handler: async () => 'open' })
    })
    await t.rejects(build, { message: `Route POST /open declares the unknown access "${access}". ${choices}` })
  }
})

test('the token may be in either header or in both, with the scheme in any case', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  await signUp('alice')
  const { accessToken } = await signIn('alice')
  for (const headers of [
    { 'x-access-token': accessToken },
    { authorization: `Bearer ${accessToken}` },
    { authorization: `bEARER   ${accessToken}  ` },
    { 'x-access-token': accessToken, authorization: `Bearer ${accessToken}` },
    { 'x-access-token': accessToken, authorization: 'Basic YTpi' },
    { 'x-access-token': accessToken, authorization: 'Bearer ' },
    { 'x-access-token': '', authorization: `Bearer ${accessToken}` }
  ]) {
    const response = await get('/api/test/user', headers)
    t.strictSame([response.status, response.body], [200, 'User Content.'], JSON.stringify(Object.keys(headers)))
  }
})

test('two tokens that differ are invalid, even if both are valid on their own', async t => {
  const { get, signUp, signIn } = await shareApp(t)
  await signUp('alice')
  await signUp('bob')
  const [alice, bob] = [await signIn('alice'), await signIn('bob')]
  const response = await get('/api/test/user', { 'x-access-token': alice.accessToken, authorization: `Bearer ${bob.accessToken}` })
  t.equal(response.status, 401)
  t.equal(response.headers['www-authenticate'], 'Bearer')
  t.strictSame(response.body, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' })
})

test('two headers of the same name are invalid', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = service.app.server.address() as AddressInfo
  const send = async (...headers: string[]) => {
    const response = await once(request({ port, path: '/api/test/user', headers: ['host', 'a', ...headers] }).end(), 'response')
    const [{ statusCode }] = response as [IncomingMessage]
    return statusCode
  }
  const bearer = `Bearer ${accessToken}`
  t.equal(await send('authorization', bearer, 'authorization', 'Bearer other'), 401)
  t.equal(await send('authorization', 'Bearer other', 'authorization', bearer), 401)
  t.equal(await send('x-access-token', accessToken, 'x-access-token', 'other'), 401)
  t.equal(await send('authorization', bearer), 200)
  t.equal(await send('authorization', bearer, 'x-access-token', accessToken), 200)
})

test('without a token, with an empty one or with another scheme, the token is missing', async t => {
  const { get } = await shareApp(t)
  for (const headers of [
    {}, { 'x-access-token': '' }, { authorization: '' }, { authorization: 'Bearer' }, { authorization: 'Bearer  ' },
    { authorization: 'Basic YTpi' }
  ]) {
    const response = await get('/api/test/user', headers)
    t.equal(response.status, 403)
    t.equal(response.headers['www-authenticate'], 'Bearer')
    t.strictSame(response.body, { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' })
  }
})

test('an unauthenticated request is rejected before its body is read', async t => {
  const { app } = await buildWith(t, app => {
    app.post('/upload', { config: { access: 'signed-in' } }, async () => ({}))
  })
  const response = await app.inject({ method: 'POST', url: '/upload', headers: { 'content-type': 'application/json' }, payload: '{ broken' })
  t.equal(response.statusCode, 403)
  t.strictSame(response.json(), { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' })
})

test('asking a public route for its caller is an error', async t => {
  const { app, logs } = await buildWith(t, app => {
    app.get('/whoami', { config: { access: 'public' } }, async request => request.caller)
  })
  const response = await app.inject('/whoami')
  t.equal(response.statusCode, 500)
  t.strictSame(response.json(), { message: 'Internal server error.', code: 'INTERNAL' })
  t.match(logs.filter(line => line['level'] === 50), [{ code: 'INTERNAL', err: { message: 'a public route has no caller' } }])
})

test('the hooks of a route run after the guard', async t => {
  const runs: string[] = []
  const { app } = await buildWith(t, app => {
    app.get('/hooked', {
      config: { access: 'signed-in' },
      onRequest: async () => { runs.push('onRequest') }
    }, async () => ({}))
  })
  t.equal((await app.inject('/hooked')).statusCode, 403)
  t.strictSame(runs, [])
})

/** The security events so far. */
const events = ({ logs }: TestApp) => logs.filter(line => 'event' in line)
  .map(({ event, level, reason, userId, route, ip }) => ({ event, level, reason, userId, route, ip }))

test('forged and revoked tokens and denied users are security events, at most once a minute each', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken, refreshToken } = await service.signIn('alice')
  service.logs.length = 0
  for (let i = 0; i < 3; i++) {
    t.equal((await service.as('forged', 'GET', '/api/test/user')).status, 401)
    t.equal((await service.as(accessToken, 'GET', '/api/test/admin')).status, 403)
  }
  const common = { level: 40, ip: '127.0.0.1' }
  const denied = [
    { ...common, event: 'authn_token_rejected', reason: 'forged', userId: undefined, route: '/api/test/user' },
    { ...common, event: 'authz_fail', reason: undefined, userId: 1, route: '/api/test/admin' }
  ]
  t.strictSame(events(service), denied)
  await service.post('/api/auth/signout', { refreshToken })
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
  t.strictSame(events(service).slice(2).map(({ event }) => event), ['authn_token_revoked'], 'the same address')
})

test('a key or a session on a route that does not admit it is a security event, but not a forged token', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { key } = await addKey(service, 1)
  service.logs.length = 0
  for (const headers of [{ 'x-api-key': key }, { 'x-api-key': `${key.slice(0, -1)}!` }]) {
    t.equal((await service.get('/api/keys', headers)).status, 401)
  }
  t.match(events(service), [{ event: 'authn_token_rejected', reason: 'not admitted', route: '/api/keys' }])

  const other = await startApp(t)
  await other.signUp('alice')
  const { accessToken } = await other.signIn('alice')
  other.logs.length = 0
  t.equal((await other.post('/api/auth/introspect', { token: 'x' }, { 'x-access-token': accessToken })).status, 401)
  t.match(events(other), [{ event: 'authn_token_rejected', reason: 'not admitted', route: '/api/auth/introspect' }])
})

test('refreshes are security events at level debug, and rejected ones warnings', async t => {
  const service = await startApp(t, { LOG_LEVEL: 'debug' })
  await service.signUp('alice')
  const { accessToken, refreshToken } = await service.signIn('alice')
  await service.post('/api/auth/refreshtoken', { refreshToken })
  await service.sql('DELETE FROM refresh_tokens')
  await service.post('/api/auth/refreshtoken', { refreshToken })
  await service.post('/api/auth/refreshtoken', { refreshToken: 'forged' })
  t.match(events(service).slice(1), [
    { event: 'authn_token_created', level: 20, userId: 1 },
    { event: 'authn_token_rejected', level: 40, reason: 'revoked', route: '/api/auth/refreshtoken' }
  ])
  t.notMatch(JSON.stringify(service.logs), refreshToken)
  t.notMatch(JSON.stringify(service.logs), accessToken)
})

test('a sign-up that claims the role of an admin is a security event', async t => {
  const service = await shareApp(t, { SIGNUP_ROLES: ['user'] })
  const body = { ...signUpBody('mallory'), roles: ['admin'] }
  t.equal((await service.post('/api/auth/signup', body)).status, 403)
  t.match(events(service), [{ event: 'authz_fail', level: 40, userId: undefined, route: '/api/auth/signup' }])
})
