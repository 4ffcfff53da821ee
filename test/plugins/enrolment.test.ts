import { test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { PASSWORD, SECRET, startApp, type TestApp, type Tokens } from '../support/app.ts'
import { addKey } from '../support/api-keys.ts'
import { claimsOf, ENROLMENT_REQUIRED, NOT_FRESH } from '../support/factor-errors.ts'
import { enrolPasskey, enrolTotp, FACTOR_SETTINGS, signUpWithTotp } from '../support/factors.ts'
import { jwks, keyFile, privateKeys, toJwk } from '../support/keys.ts'
import { openMailbox } from '../support/mailbox.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

// SECOND_FACTOR=admins and everybody: who must set up a second factor gets a session that can do only that.

const EVERYBODY = {
  ...FACTOR_SETTINGS, SECOND_FACTOR: 'everybody', JWT_AUDIENCES: ['orders']
} satisfies Partial<Config>

const AUDIENCE = 'gatehouse#second-factor-enrolment'

async function signUpAda (service: TestApp, roles = ['user', 'admin']) {
  await service.signUp('ada', roles)
  return await service.signIn('ada')
}

const statusAt = async ({ as }: TestApp, accessToken: string) => {
  const { status, body } = await as(accessToken, 'GET', '/api/test/admin')
  return status === 200 ? 200 : [status, body]
}

test('the access token has no roles, and an audience that no other server accepts', async t => {
  const service = await shareApp(t, EVERYBODY)
  const ada = await signUpAda(service)
  t.match(claimsOf(ada.accessToken), { aud: AUDIENCE, roles: [], amr: ['pwd'] })
  t.match(ada, { roles: ['ROLE_USER', 'ROLE_ADMIN'] })
  for (const audience of [undefined, 'gatehouse', 'orders']) {
    const response = await service.post('/api/auth/refreshtoken', { refreshToken: ada.refreshToken, audience })
    t.match(claimsOf(response.json<Tokens>().accessToken), { aud: AUDIENCE, roles: [] }, String(audience))
  }
  t.strictSame(await statusAt(service, ada.accessToken), [403, ENROLMENT_REQUIRED])
  t.equal((await service.as(ada.accessToken, 'GET', '/api/users/me')).status, 200)
})

for (const [factor, enrol] of [['an app', enrolTotp], ['a passkey', enrolPasskey]] as const) {
  test(`after ${factor} was set up, the same session can do everything, also with the earlier token`, async t => {
    const service = await shareApp(t, EVERYBODY)
    const ada = await signUpAda(service)
    const { accessToken } = await enrol(service, ada.accessToken)
    t.match(claimsOf(accessToken), { aud: 'gatehouse', roles: ['user', 'admin'] })
    for (const token of [accessToken, ada.accessToken]) t.equal(await statusAt(service, token), 200)
    const response = await service.post('/api/auth/refreshtoken', { refreshToken: ada.refreshToken, audience: 'orders' })
    t.match(claimsOf(response.json<Tokens>().accessToken), { aud: 'orders', roles: ['user', 'admin'] })
  })
}

test('a stale session must reauthenticate before it sets up a second factor', async t => {
  const service = await shareApp(t, EVERYBODY)
  const { accessToken } = await signUpAda(service)
  await service.sql('UPDATE refresh_tokens SET authenticated_at = now() - interval \'601 s\'')
  service.app.sessionCache.invalidate(1)
  const denied = await service.as(accessToken, 'POST', '/api/users/me/totp')
  t.strictSame([denied.status, denied.body], [401, NOT_FRESH])
  const renewed = await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { password: PASSWORD })
  t.match(claimsOf(renewed.json<Tokens>().accessToken), { aud: AUDIENCE, roles: [] })
  t.ok((await enrolTotp(service, accessToken)).accessToken)
})

test('who removes the last factor must set up another one', async t => {
  const service = await shareApp(t, EVERYBODY)
  const { accessToken } = await signUpWithTotp(service, 'ada', ['admin'])
  t.equal((await service.as(accessToken, 'DELETE', '/api/users/me/totp')).status, 200)
  t.strictSame(await statusAt(service, accessToken), [403, ENROLMENT_REQUIRED])
  t.ok((await enrolTotp(service, accessToken)).accessToken)
})

test('with SECOND_FACTOR=admins, the role decides, as soon as it is given', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, SECOND_FACTOR: 'admins' })
  const root = await signUpWithTotp(service, 'root', ['admin'])
  await service.signUp('bob')
  const bob = await service.signIn('bob')
  t.match(claimsOf(bob.accessToken), { aud: 'gatehouse', roles: ['user'] })
  t.equal((await service.as(bob.accessToken, 'GET', '/api/test/user')).status, 200)
  await service.as(root.accessToken, 'PUT', `/api/users/${bob.id}/roles`, { roles: ['user', 'admin'] })
  t.strictSame(await statusAt(service, bob.accessToken), [403, ENROLMENT_REQUIRED])
  await service.as(root.accessToken, 'PUT', `/api/users/${bob.id}/roles`, { roles: ['user'] })
  t.equal((await service.as(bob.accessToken, 'GET', '/api/test/user')).status, 200)
})

test('an enrolment on another instance counts at once', async t => {
  const here = await shareApp(t, EVERYBODY)
  const there = await startApp(t, { ...EVERYBODY, DATABASE_URL: here.url })
  const { accessToken } = await signUpAda(here)
  t.strictSame(await statusAt(here, accessToken), [403, ENROLMENT_REQUIRED])
  await enrolTotp(there, accessToken)
  t.equal(await statusAt(here, accessToken), 200)
})

test('the role is checked before the enrolment, so that the denial of a user says what is missing', async t => {
  const service = await shareApp(t, EVERYBODY)
  const { accessToken } = await signUpAda(service, ['user'])
  t.strictSame(await statusAt(service, accessToken), [403, { message: 'Require Admin Role!', code: 'ADMIN_REQUIRED' }])
})

test('a session that can only enrol does not prove that the user acts, but the password does', async t => {
  const box = await openMailbox(t, EVERYBODY)
  const { accessToken } = await signUpAda(box)
  await box.post('/api/auth/email/verification', { email: 'ada@example.com' })
  const { token } = await box.letter('ada@example.com')
  const verify = async (proof: object) =>
    (await box.post('/api/auth/email/verify', { token, ...proof }, { 'x-access-token': accessToken })).body
  t.match(await verify({}), { code: 'PROOF_REQUIRED' })
  t.strictSame(await verify({ password: PASSWORD }), { message: 'The e-mail address was confirmed.' })
})

test('tokens of JWT_KEYS_FILE, and of further secrets, are accepted with the audience of an enrolment as well', async t => {
  const before = await shareApp(t, EVERYBODY)
  const ada = await signUpAda(before)
  const { file } = await keyFile(t, jwks(toJwk(privateKeys.ES256())))
  const service = await startApp(t, {
    ...EVERYBODY, DATABASE_URL: before.url, JWT_KEYS_FILE: file, JWT_SECRET_ACCEPTED: [SECRET]
  })
  const refreshed = await service.post('/api/auth/refreshtoken', { refreshToken: ada.refreshToken })
  const { accessToken } = refreshed.json<Tokens>()
  t.match(claimsOf(accessToken), { aud: AUDIENCE, roles: [] })
  for (const token of [accessToken, ada.accessToken]) {
    t.equal((await service.as(token, 'GET', '/api/users/me')).status, 200)
    t.strictSame(await statusAt(service, token), [403, ENROLMENT_REQUIRED])
  }
})

test('an API key of a user who must set up a second factor is refused until the user has one', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, SECOND_FACTOR: 'admins' })
  const { accessToken } = await signUpAda(service)
  const { key } = await addKey(service, 1)
  const { key: limited } = await addKey(service, 1, ['user'])
  const status = async (token: string) => {
    const response = await service.get('/api/test/user', { 'x-api-key': token })
    return response.status === 200 ? 200 : [response.status, response.body]
  }
  t.strictSame(await status(key), [403, ENROLMENT_REQUIRED])
  t.equal(await status(limited), 200, 'a key without the role admin cannot act as one')
  await enrolTotp(service, accessToken)
  t.equal(await status(key), 200, 'at once')
  await service.sql('DELETE FROM credentials WHERE kind = \'totp\'')
  await until('the key to be refused', async () => await status(key) !== 200)
})

test('introspection tells nothing of sessions and keys of users who must set up a second factor', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, SECOND_FACTOR: 'admins' })
  await service.signUp('ada', ['user', 'admin'])
  const { accessToken } = await service.signIn('ada')
  const { key: asking } = await addKey(service, 1)
  await enrolTotp(service, accessToken)
  await service.signUp('bob', ['user', 'admin'])
  const bob = await service.signIn('bob')
  const { key } = await addKey(service, 2)
  for (const token of [bob.accessToken, key]) {
    const response = await service.post('/api/auth/introspect', { token }, { 'x-api-key': asking })
    t.strictSame([response.status, response.body], [200, { active: false }])
  }
})
