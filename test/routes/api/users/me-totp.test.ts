import { test } from 'tap'
import { PASSWORD, startApp, type TestApp } from '../../../support/app.ts'
import { CODE_INVALID, claimsOf, factorRequired, NOT_FRESH, notConfigured, TOKEN_INVALID } from '../../../support/factor-errors.ts'
import {
  challengeOf, codeOf, enrolTotp, FACTOR_SETTINGS, finish, signUpWithPasskey, signUpWithTotp, stepBegun
} from '../../../support/factors.ts'
import { openMailbox } from '../../../support/mailbox.ts'
import { shareApp } from '../../../support/shared-app.ts'

const PATH = '/api/users/me/totp'
const NONE = { totp: false, passkeys: 0, recoveryCodes: 0 }

const begin = async ({ as }: TestApp, accessToken: string) => (await as(accessToken, 'POST', PATH)).json<{ secret: string }>()

const factors = async ({ as }: TestApp, accessToken: string) => (await as(accessToken, 'GET', '/api/users/me/factors')).body

async function signUpAda (service: TestApp) {
  await service.signUp('ada')
  return await service.signIn('ada')
}

test('an enrolment returns the secret and the URI of its QR code, and nothing changes before its code is sent', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const response = await service.as(accessToken, 'POST', PATH)
  const { secret } = response.json<{ secret: string }>()
  t.match(secret, /^[A-Z2-7]{32}$/)
  t.strictSame([response.status, response.body], [201, {
    secret, uri: `otpauth://totp/gatehouse:ada?issuer=gatehouse&secret=${secret}&algorithm=SHA1&digits=6&period=30`
  }])
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(await factors(service, accessToken), NONE)
  t.match(await service.signIn('ada'), { accessToken: String })
  t.notMatch(JSON.stringify(await service.sql('SELECT * FROM challenges')), secret)
})

test('the code of the app activates it: this session is fresh by it, every other one ends, and the codes are shown', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, refreshToken } = await signUpAda(service)
  const other = await service.signIn('ada')
  const { secret } = await begin(service, accessToken)
  const response = await service.as(accessToken, 'PUT', PATH, { code: codeOf(secret) })
  const { accessToken: renewed, recoveryCodes } = response.json<{ accessToken: string, recoveryCodes: string[] }>()
  t.strictSame([response.status, response.body], [200, { recoveryCodes, accessToken: renewed }])
  t.equal(new Set(recoveryCodes).size, 10)
  t.match(claimsOf(renewed), { amr: ['pwd', 'otp', 'mfa'], sid: claimsOf(accessToken)['sid'], roles: ['user'] })
  t.strictSame(await factors(service, renewed), { totp: true, passkeys: 0, recoveryCodes: 10 })
  const ended = await service.as(other.accessToken, 'GET', '/api/test/user')
  t.strictSame([ended.status, ended.body], [401, TOKEN_INVALID])
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: other.refreshToken })).status, 403)
  t.equal((await service.as(accessToken, 'POST', PATH)).status, 201, 'the earlier access token is fresh as well')
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 200)
})

test('a wrong code, or one without an enrolment, activates nothing; the enrolment stays', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const put = async (code: string) => {
    const { status, body } = await service.as(accessToken, 'PUT', PATH, { code })
    return [status, body]
  }
  t.strictSame(await put('123456'), [400, CODE_INVALID])
  const { secret } = await begin(service, accessToken)
  for (const code of [codeOf(secret, 3), codeOf(secret, -3), '1']) {
    t.strictSame(await put(code), [400, CODE_INVALID], code)
  }
  t.strictSame(await put('aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a'), [400, { message: 'code must be six digits', code: 'VALIDATION_FAILED' }])
  t.strictSame(await factors(service, accessToken), NONE)
  t.equal((await put(codeOf(secret)))[0], 200)
  t.strictSame(await put(codeOf(secret, 1)), [400, CODE_INVALID], 'the enrolment is used once')
})

test('of several enrolments of a session, the last one counts, and an expired one does not', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const first = await begin(service, accessToken)
  const second = await begin(service, accessToken)
  t.strictSame((await service.as(accessToken, 'PUT', PATH, { code: codeOf(first.secret) })).body, CODE_INVALID)
  await service.sql('UPDATE challenges SET expires_at = now()')
  t.strictSame((await service.as(accessToken, 'PUT', PATH, { code: codeOf(second.secret) })).body, CODE_INVALID)
})

test('an enrolment belongs to its session and to its user', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  await service.signUp('eve')
  const { secret } = await begin(service, accessToken)
  for (const name of ['ada', 'eve']) {
    const other = await service.signIn(name)
    const response = await service.as(other.accessToken, 'PUT', PATH, { code: codeOf(secret) })
    t.strictSame([response.status, response.body], [400, CODE_INVALID], name)
  }
})

test('two parallel requests with the code of an enrolment activate it once', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const { secret } = await begin(service, accessToken)
  const responses = await Promise.all(Array.from({ length: 10 }, async () =>
    await service.as(accessToken, 'PUT', PATH, { code: codeOf(secret) })))
  t.equal(responses.filter(({ status }) => status === 200).length, 1)
  for (const { status, body } of responses) if (status !== 200) t.strictSame([status, body], [400, CODE_INVALID])
  t.strictSame(await service.sql('SELECT FROM credentials WHERE kind = \'totp\''), [{}])
})

test('another app replaces the current one, and makes new recovery codes', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const first = await signUpWithTotp(service, 'ada')
  const second = await enrolTotp(service, first.accessToken)
  const [old = '', fresh = ''] = [first.recoveryCodes[0], second.recoveryCodes[0]]
  for (const [code, status] of [
    [codeOf(first.secret), 401], [old, 401], [codeOf(second.secret), 200], [fresh, 200]
  ] as const) {
    t.equal((await finish(service, await challengeOf(service, 'ada'), { code })).status, status)
  }
})

test('the app can be removed, which ends the other sessions and voids the recovery codes', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { accessToken, secret } = await signUpWithTotp(service, 'ada')
  const finished = await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret) })
  const other = finished.json<{ accessToken: string }>()
  const response = await service.as(accessToken, 'DELETE', PATH)
  t.strictSame([response.status, response.body], [200, { message: 'The authenticator app was removed.' }])
  t.strictSame(await factors(service, accessToken), NONE)
  t.equal((await service.as(other.accessToken, 'GET', '/api/test/user')).status, 401)
  t.match(await service.signIn('ada'), { accessToken: String }, 'the password is enough again')
  const missing = await service.as(accessToken, 'DELETE', PATH)
  t.strictSame([missing.status, missing.body], [404, { message: 'Authenticator app Not found.', code: 'TOTP_NOT_FOUND' }])
})

test('beside a passkey, the app can be removed without the recovery codes', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithPasskey(service, 'ada')
  const enrolled = await enrolTotp(service, accessToken)
  await service.as(enrolled.accessToken, 'DELETE', PATH)
  t.strictSame(await factors(service, accessToken), { totp: false, passkeys: 1, recoveryCodes: 10 })
  const { body } = await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })
  t.strictSame(body, factorRequired(body instanceof Object && body['challenge'], ['passkey', 'recovery-code']))
})

test('a session that is not fresh, or has only the password, neither adds nor removes an app', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, secret } = await signUpWithTotp(service, 'ada')
  const requests = [['POST', {}], ['PUT', { code: codeOf(secret, 1) }], ['DELETE', {}]] as const
  for (const change of ['amr = ARRAY[\'pwd\']', 'amr = ARRAY[\'pwd\', \'otp\', \'mfa\'], authenticated_at = now() - interval \'601 s\'']) {
    await service.sql(`UPDATE refresh_tokens SET ${change}`)
    service.app.sessionCache.invalidate(1)
    for (const [method, payload] of requests) {
      const response = await service.as(accessToken, method, PATH, method === 'PUT' ? payload : undefined)
      t.strictSame([response.status, response.body], [401, NOT_FRESH], `${method} with ${change}`)
    }
  }
  t.strictSame(await factors(service, accessToken), { totp: true, passkeys: 0, recoveryCodes: 10 })
})

test('without ENCRYPTION_KEYS there is no TOTP, and an earlier enrolment of another instance cannot be completed', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpAda(service)
  const { secret } = await begin(service, accessToken)
  const without = await startApp(t, { DATABASE_URL: service.url })
  const other = await startApp(t, { DATABASE_URL: service.url, ENCRYPTION_KEYS: ['Zk3vQ1t8mJx0PpYwR5uHbN2cLdE7sGfA9iKoTyXhVqM='] })
  for (const response of [
    await without.as(accessToken, 'POST', PATH), await without.as(accessToken, 'PUT', PATH, { code: codeOf(secret) })
  ]) t.strictSame([response.status, response.body], [501, notConfigured('ENCRYPTION_KEYS')])
  t.strictSame((await other.as(accessToken, 'PUT', PATH, { code: codeOf(secret) })).body, CODE_INVALID)
})

test('each change is audited, and told by mail', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithTotp(box, 'ada')
  await box.letter('ada@example.com')
  await box.as(accessToken, 'POST', '/api/users/me/recovery-codes')
  await box.letter('ada@example.com', 2)
  await box.as(accessToken, 'DELETE', PATH)
  await box.letter('ada@example.com', 3)
  t.strictSame(box.lettersTo('ada@example.com').map(({ subject }) => subject), [
    'A second factor was added for gatehouse', 'New recovery codes for gatehouse',
    'A second factor was removed for gatehouse'
  ])
  t.match(box.server.mails.map(({ text }) => text), [/ada: an authenticator app\./, /ada/, /an authenticator app/])
  const app = 'an authenticator app'
  const details = [
    { change: 'second-factor-added', factor: app }, { change: 'recovery-codes-replaced' },
    { change: 'second-factor-removed', factor: app }
  ]
  t.strictSame(
    await box.sql('SELECT event, user_id, actor_id, ip, detail FROM audit_events WHERE event = \'user_updated\' ORDER BY id'),
    details.map(detail => ({ event: 'user_updated', user_id: '1', actor_id: '1', ip: '127.0.0.1', detail })))
  t.match(box.logs.filter(line => line['event'] === 'user_updated'), details)
})
