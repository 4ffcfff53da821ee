import { test, type Test } from 'tap'
import { addKey } from '../../../support/api-keys.ts'
import { shareApp } from '../../../support/shared-app.ts'

const UNAUTHORIZED = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }

const IDENTITY = ['x-user-id', 'x-user-name', 'x-user-roles', 'x-auth-method'] as const

/** Ada is user 1, an admin. */
async function setUp (t: Test) {
  const service = await shareApp(t)
  await service.signUp('Ada.B_c-1', ['user', 'admin'])
  const { accessToken } = await service.signIn('Ada.B_c-1')
  const { key, id } = await addKey(service, 1, ['user'])
  const check = async (headers: Record<string, string>, query = '') => {
    const response = await service.get(`/api/auth/check${query}`, headers)
    return { ...response, identity: IDENTITY.map(name => response.headers[name]) }
  }
  return { service, accessToken, key, id, check }
}

const NOBODY = [undefined, undefined, undefined, undefined]

test('an access token may pass, and the headers say whose it is', async t => {
  const { accessToken, check } = await setUp(t)
  for (const headers of [{ 'x-access-token': accessToken }, { authorization: `Bearer ${accessToken}` }]) {
    const { status, body, identity, headers: received } = await check(headers)
    t.strictSame([status, body, identity], [200, 'OK', ['1', 'Ada.B_c-1', 'user,admin', 'session']])
    t.equal(received['cache-control'], 'no-store')
  }
})

test('an API key may pass, with the roles of the key', async t => {
  const { key, check } = await setUp(t)
  for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }]) {
    const { status, body, identity } = await check(headers)
    t.strictSame([status, body, identity], [200, 'OK', ['1', 'Ada.B_c-1', 'user', 'key']])
  }
})

test('what the client claims to be is not repeated', async t => {
  const { accessToken, check } = await setUp(t)
  const claimed = { 'x-user-id': '9', 'x-user-name': 'root', 'x-user-roles': 'moderator', 'x-auth-method': 'key' }
  t.strictSame((await check({ ...claimed, 'x-access-token': accessToken })).identity, ['1', 'Ada.B_c-1', 'user,admin', 'session'])
  t.match(await check(claimed), { status: 401, identity: NOBODY })
})

test('nothing, and nothing good, gets 401 with a challenge', async t => {
  const { service, accessToken, key, id, check } = await setUp(t)
  const rejected = async (headers: Record<string, string>, title: string) => {
    const { status, body, identity, headers: received } = await check(headers)
    t.strictSame([status, body, identity], [401, UNAUTHORIZED, NOBODY], title)
    t.equal(received['www-authenticate'], 'Bearer')
  }
  await rejected({}, 'nothing')
  await rejected({ authorization: 'Basic YTpi' }, 'another scheme')
  await rejected({ 'x-access-token': 'garbage' }, 'garbage')
  await rejected({ 'x-api-key': 'garbage' }, 'garbage as a key')
  await rejected({ 'x-api-key': `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` }, 'a mistyped key')
  await rejected({ 'x-access-token': accessToken, 'x-api-key': key }, 'a token and a key')
  await rejected({ 'x-access-token': key }, 'a key in the header of tokens')
  await rejected({ 'x-api-key': accessToken }, 'a token in the header of keys')
  await rejected({ 'x-access-token': accessToken, authorization: `Bearer ${key}` }, 'a token and another key')
  t.equal((await check({ 'x-api-key': key })).status, 200)
  await service.sql('DELETE FROM api_keys WHERE id = $1', [id])
  service.app.sessionCache.invalidate(1)
  await rejected({ 'x-api-key': key }, 'a deleted key')
  await service.as(accessToken, 'POST', '/api/auth/signout/all')
  await rejected({ 'x-access-token': accessToken }, 'an ended session')
})

test('the caller needs one of the roles that the proxy names', async t => {
  const { service, accessToken, key, check } = await setUp(t)
  const [token, apiKey] = [{ 'x-access-token': accessToken }, { 'x-api-key': key }]
  for (const query of ['?role=admin', '?role=moderator&role=admin', '?role=user&role=user']) {
    t.equal((await check(token, query)).status, 200, query)
  }
  const denied = await check(token, '?role=moderator')
  t.strictSame([denied.status, denied.body, denied.identity], [403, { message: 'Require Role moderator!', code: 'ROLE_NOT_HELD' }, NOBODY])
  const either = await check(apiKey, '?role=admin&role=moderator')
  t.strictSame([either.status, either.body], [403, { message: 'Require Role moderator or admin!', code: 'ROLE_NOT_HELD' }])
  t.match(service.logs.filter(line => line['event'] === 'authz_fail'), [{ level: 40, userId: 1, route: '/api/auth/check' }])
})

test('a role that does not exist, and a misspelt parameter, let nobody pass', async t => {
  const { accessToken, check } = await setUp(t)
  const token = { 'x-access-token': accessToken }
  for (const [query, message, code] of [
    ['?role=root', 'Failed! Role does not exist = root', 'ROLE_UNKNOWN'],
    ['?role=user&role=root', 'Failed! Role does not exist = root', 'ROLE_UNKNOWN'],
    ['?role=', 'Failed! Role does not exist = ', 'ROLE_UNKNOWN'],
    ['?roles=admin', 'Unknown field roles', 'VALIDATION_FAILED']
  ] as const) {
    const { status, body, identity } = await check(token, query)
    t.match([status, body, identity], [400, { code }, NOBODY], query)
    if (code === 'ROLE_UNKNOWN') t.strictSame(body, { message, code })
  }
  t.equal((await check({}, '?role=root')).status, 401)
})
