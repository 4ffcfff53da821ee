import { test, type Test } from 'tap'
import { ApiError } from '../../../../src/errors.ts'
import { PASSWORD, type Tokens } from '../../../support/app.ts'
import { addKey } from '../../../support/api-keys.ts'
import { sessionEntry } from '../../../support/session.ts'
import { shareApp } from '../../../support/shared-app.ts'

const INACTIVE = { active: false }

/** Ada (user 1), an admin, asks about the tokens of alice (user 2), a moderator. */
async function setUp (t: Test, settings: Parameters<typeof shareApp>[1] = {}) {
  const service = await shareApp(t, { JWT_AUDIENCES: ['orders'], REFRESH_GRACE: 0, ...settings })
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('alice', ['user', 'moderator'])
  const { key, id } = await addKey(service, 1)
  const alice = await service.signIn('alice')
  const introspect = async (token: string, more: object = {}) => {
    const response = await service.post('/api/auth/introspect', { token, ...more }, { authorization: `Bearer ${key}` })
    t.equal(response.headers['cache-control'], 'no-store')
    if (response.status !== 200) t.fail(`${response.status} ${JSON.stringify(response.body)}`)
    return response.body
  }
  const refresh = async (refreshToken: string, audience?: string) =>
    (await service.post('/api/auth/refreshtoken', { refreshToken, ...audience && { audience } })).json<Tokens>()
  return { service, key, id, alice, introspect, refresh, claims: service.app.accessTokens.verify(alice.accessToken) }
}

const ALICE = { active: true, sub: '2', username: 'alice' }
const BEARER = { token_type: 'Bearer', roles: ['user', 'moderator'] }

test('an access token is active, with the claims that a resource server needs and the roles of now', async t => {
  const { service, alice, introspect, claims: { exp, iat, jti, sid } } = await setUp(t)
  const active = { ...ALICE, ...BEARER, token_use: 'access_token', iss: 'gatehouse', aud: 'gatehouse', exp, iat, jti, sid }
  t.strictSame(await introspect(alice.accessToken), active)
  t.strictSame(await introspect(alice.accessToken, { token_type_hint: 'refresh_token' }), active, 'a wrong hint is ignored')
  const { accessToken } = await service.signIn('ada')
  await service.as(accessToken, 'PUT', '/api/users/2/roles', { roles: ['user'] })
  t.match(await introspect(alice.accessToken), { active: true, roles: ['user'] })
})

test('a token for another audience is active, with that audience, and still refused by gatehouse', async t => {
  const { service, alice, introspect, refresh } = await setUp(t)
  const { accessToken } = await refresh(alice.refreshToken, 'orders')
  t.match(await introspect(accessToken), { ...ALICE, token_use: 'access_token', aud: 'orders' })
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
  const other = service.app.accessTokens.issue(sessionEntry(), 'unlisted')
  t.strictSame(await introspect(other), INACTIVE)
})

test('an API key is active, with the roles that it has', async t => {
  const { service, introspect } = await setUp(t)
  const { key, id } = await addKey(service, 2, ['user', 'admin'])
  const active = { ...ALICE, token_type: 'Bearer', roles: ['user'], token_use: 'api_key', jti: id }
  t.strictSame(await introspect(key), active)
  const [row] = await service.sql<{ expires: number }>(
    'UPDATE api_keys SET expires_at = now() + interval \'1 h\' WHERE id = $1 RETURNING floor(extract(epoch FROM expires_at))::int AS expires', [id])
  service.app.sessionCache.invalidate(2)
  t.strictSame(await introspect(key), { ...active, exp: row?.expires })
})

test('a refresh token is active, but is no bearer token', async t => {
  const { service, alice, introspect, claims: { sid } } = await setUp(t)
  const [row] = await service.sql<{ iat: number }>('SELECT floor(extract(epoch FROM created_at))::int AS iat FROM refresh_tokens')
  const iat = Number(row?.iat)
  t.strictSame(await introspect(alice.refreshToken),
    { ...ALICE, token_use: 'refresh_token', iss: 'gatehouse', exp: iat + 86_400, iat, sid })
})

test('asking about a refresh token neither uses it nor ends its session', async t => {
  const { alice, introspect, refresh } = await setUp(t)
  const second = await refresh(alice.refreshToken)
  t.match(await introspect(second.refreshToken), { active: true })
  t.match(await introspect(alice.refreshToken), { active: true }, 'its successor was not used')
  const third = await refresh(second.refreshToken)
  t.strictSame(await introspect(alice.refreshToken), INACTIVE, 'superseded')
  t.match(await introspect(third.refreshToken), { active: true }, 'the session lives')
})

test('nothing is told about a token that is not good', async t => {
  const { service, alice, introspect, claims } = await setUp(t)
  const { key, id } = await addKey(service, 2)
  const expired = service.app.accessTokens.issue(
    sessionEntry({ userId: 2, sessionId: claims.sid, expiresAt: new Date(Date.now() - 5000) }))
  const crossed = service.app.accessTokens.issue(sessionEntry({ userId: 1, sessionId: claims.sid }))
  const mistyped = `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`
  for (const token of ['x', 'gh_', 'a.b.c', mistyped, `${alice.accessToken}x`, `${alice.refreshToken}x`, expired, crossed, ' ']) {
    t.strictSame(await introspect(token), INACTIVE, token)
  }
  const tokens = [alice.accessToken, alice.refreshToken, key]
  const all = async () => await Promise.all(tokens.map(async token => await introspect(token)))
  t.match(await all(), [{ active: true }, { active: true }, { active: true }])
  await service.sql('DELETE FROM api_keys WHERE id = $1', [id])
  await service.post('/api/auth/signout', { refreshToken: alice.refreshToken })
  t.strictSame(await all(), [INACTIVE, INACTIVE, INACTIVE], 'ended')

  const again = await service.signIn('alice')
  const { key: other } = await addKey(service, 2)
  const { accessToken } = await service.signIn('ada')
  await service.as(accessToken, 'PUT', '/api/users/2/disabled', { disabled: true })
  for (const token of [again.accessToken, again.refreshToken, other]) {
    t.strictSame(await introspect(token), INACTIVE, 'of a disabled user')
  }
})

test('only an API key with a role of INTROSPECTION_ROLES may ask', async t => {
  const { service, alice, key } = await setUp(t)
  const ask = async (headers: Record<string, string>, body: object = { token: alice.accessToken }) => {
    const { status, body: answer } = await service.post('/api/auth/introspect', body, headers)
    return [status, answer]
  }
  const unauthorized = [401, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }]
  const denied = [403, { message: 'Require Role admin!', code: 'ROLE_NOT_HELD' }]
  t.strictSame(await ask({}), unauthorized)
  t.strictSame(await ask({ 'x-access-token': (await service.signIn('ada')).accessToken }), unauthorized, 'a session')
  t.strictSame(await ask({ 'x-api-key': (await addKey(service, 2)).key }), denied, 'the owner lacks the role')
  t.strictSame(await ask({ 'x-api-key': (await addKey(service, 1, ['user'])).key }), denied, 'the key lacks the role')
  t.match(await ask({ 'x-api-key': key }), [200, { active: true }])
  t.strictSame(await ask({ 'x-api-key': key }, {}), [400, { message: 'token is required', code: 'VALIDATION_FAILED' }])
  t.match(service.logs.filter(line => line['event'] === 'authz_fail'),
    [{ userId: 2, route: '/api/auth/introspect' }, { userId: 1, route: '/api/auth/introspect' }])
})

test('the request may be a form, as RFC 7662 says', async t => {
  const { service, alice, key } = await setUp(t)
  const form = { 'content-type': 'application/x-www-form-urlencoded', 'x-api-key': key }
  const active = await service.post('/api/auth/introspect', `token=${alice.accessToken}&token_type_hint=access_token`, form)
  t.match([active.status, active.body], [200, ALICE])
  const missing = await service.post('/api/auth/introspect', 'token_type_hint=access_token', form)
  t.strictSame([missing.status, missing.body], [400, { message: 'token is required', code: 'VALIDATION_FAILED' }])
})

test('introspections beyond the limit of a key get 429, and other keys go on', async t => {
  const { service, alice, key, introspect } = await setUp(t, { RATE_LIMIT_INTROSPECTION: 3 })
  for (let i = 0; i < 3; i++) await introspect(alice.accessToken)
  const ask = async (apiKey: string) =>
    (await service.post('/api/auth/introspect', { token: 'x' }, { 'x-api-key': apiKey })).status
  t.equal(await ask(key), 429)
  t.equal(await ask((await addKey(service, 1)).key), 200)
  t.equal((await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })).status, 200)
})

test('if the database fails, the response is 503, not that a token is inactive', async t => {
  const { service, alice, key } = await setUp(t)
  t.equal((await service.get('/api/test/user', { 'x-api-key': key })).status, 200)
  t.intercept(service.app.db, 'query', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  const response = await service.post('/api/auth/introspect', { token: alice.accessToken }, { 'x-api-key': key })
  t.match([response.status, response.body], [503, { code: 'DATABASE_UNAVAILABLE' }])
})
