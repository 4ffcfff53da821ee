import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { type AddressInfo } from 'node:net'
import { test } from 'tap'
import { PASSWORD, type SignedIn, signUpBody, type TestApp } from '../support/app.ts'
import { sessionEntry } from '../support/session.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

const NEW = 'battery staple'

/** Ada, an admin, is user 1; bob, whom she changes, is user 2; carl is a second admin, so that she is not the last. */
async function setUp (service: TestApp) {
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('bob')
  await service.signUp('carl', ['admin'])
  await service.signIn('bob')
  return await service.signIn('ada')
}

/** What revokes the right of a request, by SQL, and the error that the request then gets. */
const UNAUTHORIZED = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }
const DISABLED = ['the user is disabled', 'UPDATE users SET disabled_at = now() WHERE id = 1', 401, UNAUTHORIZED] as const
const ENDED = ['the session ends', 'DELETE FROM refresh_tokens WHERE user_id = 1', 401, UNAUTHORIZED] as const
const EXPIRED = ['the session expires', `UPDATE refresh_tokens SET created_at = now() - interval '2 h',
  expires_at = now() - interval '1 h' WHERE user_id = 1`, 401, UNAUTHORIZED] as const
const DELETED = ['the user is deleted', 'DELETE FROM users WHERE id = 1', 401, UNAUTHORIZED] as const
const DEMOTED = ['the role is revoked', 'DELETE FROM user_roles WHERE user_id = 1 AND role_id = 3',
  403, { message: 'Require Admin Role!', code: 'ADMIN_REQUIRED' }] as const

const OF_ADMINS = [
  ['PUT', '/api/users/2/roles', { roles: ['user', 'moderator'] }],
  ['PUT', '/api/users/2/disabled', { disabled: true }],
  ['DELETE', '/api/users/2/sessions', {}],
  ['DELETE', '/api/users/2', {}]
] as const

const OF_EVERYBODY = [
  ['PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW }],
  ['DELETE', '/api/users/me', { password: PASSWORD }],
  ['POST', '/api/auth/signout/all', {}],
  ['DELETE', '/api/auth/sessions/$SESSION', {}]
] as const

const CASES = [
  ...OF_ADMINS.flatMap(action =>
    [DISABLED, ENDED, EXPIRED, DELETED, DEMOTED].map(revocation => [action, revocation] as const)),
  ...OF_EVERYBODY.flatMap(action => [DISABLED, ENDED, EXPIRED].map(revocation => [action, revocation] as const))
]

/** All rows that an action could change. */
const state = async (service: TestApp) => await service.sql(`SELECT
  (SELECT json_agg(users ORDER BY id) FROM users) AS users,
  (SELECT json_agg(user_roles ORDER BY user_id, role_id) FROM user_roles) AS roles,
  (SELECT json_agg(refresh_tokens ORDER BY user_id, id) FROM refresh_tokens) AS sessions,
  (SELECT json_agg(audit_events ORDER BY id) FROM audit_events) AS events`)

/** Sends a request but for its last byte, once the guard has admitted it. @returns a function that sends the byte */
async function holdBack (service: TestApp, { accessToken }: SignedIn, method: string, path: string, body: object) {
  const payload = JSON.stringify(body)
  const admitted = () => service.app.sessionCache.stats().hits + service.app.sessionCache.stats().misses
  const before = admitted()
  const { port } = service.app.server.address() as AddressInfo
  const request = httpRequest({
    port,
    method,
    path,
    headers: { 'x-access-token': accessToken, 'content-type': 'application/json', 'content-length': payload.length }
  })
  const responded = once(request, 'response') as Promise<[IncomingMessage]>
  request.write(payload.slice(0, -1))
  await until('the guard', () => admitted() > before)
  return async () => {
    request.end(payload.slice(-1))
    const [response] = await responded
    const text = (await response.toArray()).join('')
    return { status: response.statusCode, body: JSON.parse(text) as unknown }
  }
}

async function listening (service: TestApp): Promise<TestApp> {
  if (!service.app.server.listening) await service.app.listen({ port: 0, host: '127.0.0.1' })
  return service
}

for (const [[method, path, body], [revoked, sql, status, error]] of CASES) {
  test(`${method} ${path} changes nothing if ${revoked} before its last byte`, async t => {
    const service = await listening(await shareApp(t))
    const ada = await setUp(service)
    const { sid } = service.app.accessTokens.verify(ada.accessToken)
    const send = await holdBack(service, ada, method, path.replace('$SESSION', sid), body)
    await service.sql(sql)
    const before = await state(service)
    t.strictSame(await send(), { status, body: error })
    t.strictSame(await state(service), before)
  })
}

test('a request that is held back succeeds if nothing is revoked', async t => {
  const service = await listening(await shareApp(t))
  const ada = await setUp(service)
  const send = await holdBack(service, ada, 'PUT', '/api/users/2/disabled', { disabled: true })
  t.match(await send(), { status: 200, body: { id: 2, disabled: true } })
})

for (const [revoked, sql] of [DISABLED, ENDED, EXPIRED, DELETED, DEMOTED]) {
  test(`a sign-up with an admin's roles is rejected if ${revoked} while the password is hashed`, async t => {
    const service = await shareApp(t)
    const ada = await setUp(service)
    const hash = service.app.passwords.hash
    t.intercept(service.app.passwords, 'hash', {
      value: async (...args: Parameters<typeof hash>) => {
        await service.sql(sql)
        return await hash(...args)
      }
    })
    const body = { ...signUpBody('mallory'), roles: ['admin'] }
    const response = await service.post('/api/auth/signup', body, { 'x-access-token': ada.accessToken })
    t.equal(response.status, 403)
    t.match(response.body, { code: 'ROLE_NOT_OPEN' })
    t.strictSame(await service.sql('SELECT FROM users WHERE username = \'mallory\''), [])
  })
}

test('what an action rests on cannot change until its transaction ends', async t => {
  const service = await shareApp(t)
  const ada = await setUp(service)
  const { sid } = service.app.accessTokens.verify(ada.accessToken)
  const caller = sessionEntry({ sessionId: sid })
  await service.app.db.transaction(async transaction => {
    await service.app.recheck(transaction, caller, 'admin')
    for (const [, sql] of [DISABLED, ENDED, EXPIRED, DELETED, DEMOTED]) {
      await t.rejects(service.sql(`SET lock_timeout = '50ms'; ${sql}`), { code: '55P03' }, sql)
    }
  })
  for (const [, sql] of [DEMOTED, EXPIRED, ENDED, DISABLED, DELETED]) await service.sql(sql)
})
