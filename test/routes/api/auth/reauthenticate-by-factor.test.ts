import { test } from 'tap'
import { PASSWORD, type TestApp } from '../../../support/app.ts'
import {
  CHALLENGE_INVALID, claimsOf, FACTOR_INVALID, factorRequired, NOT_FRESH, notConfigured, TOKEN_INVALID
} from '../../../support/factor-errors.ts'
import {
  challengeOf, codeOf, enrolPasskey, FACTOR_SETTINGS, finish, signUpWithPasskey, signUpWithTotp, stepBegun
} from '../../../support/factors.ts'
import { shareApp } from '../../../support/shared-app.ts'

const PATH = '/api/auth/reauthenticate'

const renew = async ({ as }: TestApp, accessToken: string, body: object) => {
  const response = await as(accessToken, 'POST', PATH, body)
  return { ...response, outcome: [response.status, response.body] }
}

const optionsOf = async ({ as }: TestApp, accessToken: string) =>
  (await as(accessToken, 'POST', `${PATH}/options`)).json<{ challenge: string }>()

/** Makes every session stale, with the password alone or with the second factor too. */
async function makeStale ({ app, sql }: TestApp, amr: string): Promise<void> {
  await sql('UPDATE refresh_tokens SET amr = string_to_array($1, \' \'), authenticated_at = now() - interval \'601 s\'', [amr])
  app.sessionCache.invalidate(1)
}

const isFresh = async ({ as }: TestApp, accessToken: string) => {
  const { status, body } = await as(accessToken, 'POST', '/api/users/me/recovery-codes')
  return status === 201 || body
}

test('the password asks a user with a second factor for it, and renews nothing', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  await enrolPasskey(service, accessToken)
  await makeStale(service, 'pwd')
  for (const password of [PASSWORD, 'wrong']) {
    const response = await renew(service, accessToken, { password })
    const { challenge } = response.json<{ challenge: string }>()
    t.strictSame(response.outcome, [401, factorRequired(challenge, ['totp', 'passkey', 'recovery-code'])])
  }
  t.strictSame(await isFresh(service, accessToken), NOT_FRESH)
})

test('a code makes the session fresh, with the methods of the session and those of the code', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { accessToken, secret, id } = await signUpWithTotp(service, 'ada')
  await makeStale(service, 'pwd')
  const begin = Math.floor(Date.now() / 1000)
  const response = await renew(service, accessToken, { code: codeOf(secret) })
  const { accessToken: renewed } = response.json<{ accessToken: string }>()
  t.strictSame(response.outcome, [200, { accessToken: renewed }])
  const { auth_time: time, ...claims } = claimsOf(renewed)
  t.match(claims, { id, sid: claimsOf(accessToken)['sid'], amr: ['pwd', 'otp', 'mfa'], roles: ['user'] })
  t.ok(Number(time) >= begin)
  for (const token of [accessToken, renewed]) t.equal(await isFresh(service, token), true)
  const again = await renew(service, accessToken, { code: codeOf(secret) })
  t.strictSame(again.outcome, [401, FACTOR_INVALID], 'a code is accepted once')
})

test('a code that has signed in does not reauthenticate, nor the other way round', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { accessToken, secret } = await signUpWithTotp(service, 'ada')
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret) })).status, 200)
  t.strictSame((await renew(service, accessToken, { code: codeOf(secret) })).outcome, [401, FACTOR_INVALID])
  t.equal((await renew(service, accessToken, { code: codeOf(secret, 1) })).status, 200)
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret, 1) })).status, 401)
})

test('a recovery code makes the session fresh once', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
  await makeStale(service, 'hwk mfa')
  const response = await renew(service, accessToken, { code })
  t.match(claimsOf(response.json<{ accessToken: string }>().accessToken), { amr: ['hwk', 'mfa', 'otp'] })
  t.strictSame((await renew(service, accessToken, { code })).outcome, [401, FACTOR_INVALID])
})

test('a passkey makes the session fresh, with the challenge of the options or of the denial', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, authenticator } = await signUpWithPasskey(service, 'ada')
  const asked = (await renew(service, accessToken, { password: PASSWORD })).json<{ challenge: string }>()
  const options = await service.as(accessToken, 'POST', `${PATH}/options`)
  const { challenge } = options.json<{ challenge: string }>()
  t.strictSame([options.status, options.body],
    [200, { challenge, rpId: 'auth.example.com', timeout: 300_000, userVerification: 'required' }])
  for (const each of [asked.challenge, challenge]) {
    await makeStale(service, 'pwd')
    const passkey = authenticator.get(each)
    const response = await renew(service, accessToken, { passkey })
    t.match(claimsOf(response.json<{ accessToken: string }>().accessToken), { amr: ['pwd', 'hwk', 'mfa'] })
    t.equal(await isFresh(service, accessToken), true)
    t.strictSame((await renew(service, accessToken, { passkey })).outcome, [401, CHALLENGE_INVALID], 'used')
  }
})

test('a challenge belongs to its session, its user and its ceremony', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, authenticator } = await signUpWithPasskey(service, 'ada')
  const eve = await signUpWithPasskey(service, 'eve')
  const first = await challengeOf(service, 'ada')
  const finished = await finish(service, first, { passkey: authenticator.get(first) })
  const other = finished.json<{ accessToken: string }>()
  const anonymous = (await service.post('/api/auth/signin/passkey/options', {})).json<{ challenge: string }>()
  const registration = (await service.as(accessToken, 'POST', '/api/users/me/passkeys/options')).json<{ challenge: string }>()
  for (const challenge of [
    (await optionsOf(service, other.accessToken)).challenge, (await optionsOf(service, eve.accessToken)).challenge,
    await challengeOf(service, 'ada'), anonymous.challenge, registration.challenge, 'own'
  ]) {
    const { outcome } = await renew(service, accessToken, { passkey: authenticator.get(challenge) })
    t.strictSame(outcome, [401, CHALLENGE_INVALID])
  }
  const { challenge } = await optionsOf(service, accessToken)
  for (const passkey of [
    eve.authenticator.get(challenge), authenticator.get(challenge, { isUserVerified: false }),
    authenticator.get(challenge, { rpId: 'evil.example' }), authenticator.get(challenge, { type: 'webauthn.create' }),
    { ...authenticator.get(challenge), response: { ...authenticator.get(challenge).response, clientDataJSON: 'AAAA' } }
  ]) t.strictSame((await renew(service, accessToken, { passkey })).outcome, [401, FACTOR_INVALID])
  t.equal((await renew(service, accessToken, { passkey: authenticator.get(challenge) })).status, 200)
})

test('exactly one of password, code and passkey is required', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
  const body = { message: 'one of password, code and passkey is required', code: 'VALIDATION_FAILED' }
  for (const given of [{}, { password: PASSWORD, code }]) {
    t.strictSame((await renew(service, accessToken, given)).outcome, [400, body])
  }
})

test('a user without a second factor has no code to present', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await service.signUp('ada')
  const { accessToken } = await service.signIn('ada')
  for (const code of ['123456', 'aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a']) {
    t.strictSame((await renew(service, accessToken, { code })).outcome, [401, FACTOR_INVALID])
  }
  t.equal((await renew(service, accessToken, { password: PASSWORD })).status, 200)
})

test('if the session ends while the code is verified, the code is not used up', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
  const verify = service.app.verifyFactorCode
  t.intercept(service.app, 'verifyFactorCode', {
    value: async (...args: Parameters<typeof verify>) => {
      await service.sql('DELETE FROM refresh_tokens')
      return await verify(...args)
    }
  })
  t.strictSame((await renew(service, accessToken, { code })).outcome, [401, TOKEN_INVALID])
  t.strictSame(await service.sql(
    'SELECT FROM credentials WHERE kind = \'recovery_codes\' AND jsonb_array_length(data -> \'hashes\') = 10'), [{}])
})

test('without the settings of passkeys, their options say which one is missing', async t => {
  const service = await shareApp(t)
  await service.signUp('ada')
  const { accessToken } = await service.signIn('ada')
  const response = await service.as(accessToken, 'POST', `${PATH}/options`)
  t.strictSame([response.status, response.body], [501, notConfigured('PASSKEY_RP_ID')])
})

test('the session of a sign-in with the password is not fresh once a second factor was added elsewhere', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await service.signUp('ada', ['user', 'admin'])
  const { accessToken } = await service.signIn('ada')
  t.equal((await service.as(accessToken, 'PUT', '/api/users/1/roles', { roles: ['user', 'admin'] })).status, 200)
  await service.sql('INSERT INTO credentials (user_id, kind, data) VALUES (1, \'totp\', \'{"secret": "", "lastStep": 0}\')')
  const { status, body } = await service.as(accessToken, 'PUT', '/api/users/1/roles', { roles: ['user', 'admin'] })
  t.strictSame([status, body], [401, NOT_FRESH])
})
