import { test } from 'tap'
import { PASSWORD } from '../../../support/app.ts'
import {
  challengeOf, codeOf, FACTOR_SETTINGS, finish, signUpWithPasskey, signUpWithTotp, stepBegun
} from '../../../support/factors.ts'
import { shareApp } from '../../../support/shared-app.ts'

const INVALID = { message: 'The code or the passkey was not accepted. A code works once.', code: 'CODE_INVALID' }
const CHALLENGE_INVALID = { message: 'The challenge was used or has expired. Please start again.', code: 'CHALLENGE_INVALID' }

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()) as Record<string, unknown>

test('the right password of a user with a second factor gives a challenge, and the methods', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await signUpWithTotp(service, 'ada')
  await signUpWithPasskey(service, 'bob')
  const first = await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })
  const { challenge } = first.json<{ challenge: string }>()
  t.match(challenge, /^[\w-]{43}$/)
  t.strictSame([first.status, first.body], [401, {
    accessToken: null,
    message: 'Please confirm with a second factor.',
    code: 'SECOND_FACTOR_REQUIRED',
    challenge,
    methods: ['totp', 'recovery-code']
  }])
  t.equal(first.headers['www-authenticate'], 'Bearer')
  t.equal(first.headers['cache-control'], 'no-store')
  const other = await service.post('/api/auth/signin', { username: 'bob', password: PASSWORD })
  t.strictSame(other.json<{ methods: string[] }>().methods, ['passkey', 'recovery-code'])
  t.match(await service.post('/api/auth/signin', { username: 'ada', password: 'wrong' }), { status: 401, body: { code: 'PASSWORD_INVALID' } })
})

test('a code of the app completes the sign-in, with amr pwd, otp and mfa', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { id, secret } = await signUpWithTotp(service, 'ada')
  const response = await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret) })
  const { accessToken, refreshToken } = response.json<{ accessToken: string, refreshToken: string }>()
  t.strictSame([response.status, response.body], [200, {
    id, username: 'ada', email: 'ada@example.com', roles: ['ROLE_USER'], accessToken, refreshToken
  }])
  t.match(claimsOf(accessToken), { amr: ['pwd', 'otp', 'mfa'] })
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 200)
})

test('a passkey that signs the challenge completes the sign-in', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  const response = await finish(service, challenge, { passkey: authenticator.get(challenge) })
  t.equal(response.status, 200)
  t.match(claimsOf(response.json<{ accessToken: string }>().accessToken), { amr: ['pwd', 'hwk', 'mfa'] })
})

test('a recovery code completes a sign-in once, in any case and with any separators', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { recoveryCodes: [one = '', two = ''] } = await signUpWithTotp(service, 'ada')
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: one })).status, 200)
  const again = await finish(service, await challengeOf(service, 'ada'), { code: one })
  t.strictSame([again.status, again.body], [401, INVALID])
  const spelled = two.toUpperCase().replaceAll('-', ' ')
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: spelled })).status, 200)
})

test('a code is accepted once, at the enrolment too, and one of an earlier step not after it', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  const send = async (steps: number) =>
    (await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret, steps) })).status
  t.equal(await send(-1), 401, 'the code of the enrolment')
  t.equal(await send(1), 200, 'a clock that is early')
  t.equal(await send(1), 401)
  t.equal(await send(0), 401, 'an earlier step')
  t.equal(await send(2), 401, 'a clock that is too early')
})

test('a wrong code does not spend the challenge; the right one does', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { secret, recoveryCodes: [recoveryCode = ''] } = await signUpWithTotp(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  for (const code of ['000000', 'aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a', '12345', 'x']) {
    const wrong = await finish(service, challenge, { code })
    t.strictSame([wrong.status, wrong.body, wrong.headers['www-authenticate']], [401, INVALID, 'Bearer'], code)
  }
  t.equal((await finish(service, challenge, { code: codeOf(secret) })).status, 200)
  const spent = await finish(service, challenge, { code: recoveryCode })
  t.strictSame([spent.status, spent.body], [401, CHALLENGE_INVALID])
})
