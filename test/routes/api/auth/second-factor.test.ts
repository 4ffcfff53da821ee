import { test } from 'tap'
import { newEncryptionKey } from '../../../../src/tokens/encryption-keys.ts'
import { PASSWORD, SET_HASH, startApp, type TestApp } from '../../../support/app.ts'
import { PASSKEY_SETTINGS } from '../../../support/authenticator.ts'
import {
  CHALLENGE_INVALID, claimsOf, FACTOR_INVALID as INVALID, factorRequired, notConfigured
} from '../../../support/factor-errors.ts'
import {
  challengeOf, codeOf, type CreationOptions, enrolPasskey, enrolTotp, FACTOR_SETTINGS, finish, signUpWithPasskey,
  signUpWithTotp, stepBegun
} from '../../../support/factors.ts'
import { shareApp } from '../../../support/shared-app.ts'

/** The status and the body of the second step. */
async function outcome (...args: Parameters<typeof finish>) {
  const { status, body } = await finish(...args)
  return [status, body]
}

const stored = async ({ sql }: TestApp) => await sql<{ secret: string, step: number }>(
  'SELECT data ->> \'secret\' AS secret, (data -> \'lastStep\')::int AS step FROM credentials WHERE kind = \'totp\'')

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

test('wrong codes from an unknown network count as failed sign-ins over all users', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, TRUST_PROXY: ['loopback'], RATE_LIMIT_SIGNIN_FAILURES: 2 })
  const headers = { 'x-forwarded-for': '198.51.100.7' }
  const wrong = async (name: string) => {
    await signUpWithTotp(service, name)
    return await service.post('/api/auth/signin/second-factor', { challenge: await challengeOf(service, name), code: '000000' }, headers)
  }
  for (const name of ['ada', 'bob']) {
    const { status, body } = await wrong(name)
    t.strictSame([status, body], [401, INVALID])
  }
  t.match(await wrong('eve'), { status: 429, body: { code: 'TOO_MANY_REQUESTS' } })
  const { status } = await finish(service, await challengeOf(service, 'eve'), { code: '000000' })
  t.equal(status, 401, 'eve is known at her own network')
})

test('from an unknown network as well, codes are throttled per user', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, TRUST_PROXY: ['loopback'], SIGNIN_MAX_FAILURES: 1 })
  await signUpWithTotp(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  const attempt = async () => await service.post(
    '/api/auth/signin/second-factor', { challenge, code: '000000' }, { 'x-forwarded-for': '198.51.100.8' })
  t.match(await attempt(), { status: 401, body: { code: 'CODE_INVALID' } })
  t.match(await attempt(), { status: 429, body: { code: 'SIGNIN_THROTTLED' } })
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

test('either a code or a passkey is required', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  for (const factor of [{}, { code: '123456', passkey: authenticator.get(challenge) }]) {
    const { status, body } = await service.post('/api/auth/signin/second-factor', { challenge, ...factor })
    t.strictSame([status, body], [400, { message: 'either code or passkey is required', code: 'VALIDATION_FAILED' }])
  }
})

test('of ten parallel requests with one code, over several challenges, one succeeds', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  const challenges = await Promise.all(Array.from({ length: 5 }, async () => await challengeOf(service, 'ada')))
  const code = codeOf(secret)
  const responses = await Promise.all([...challenges, ...challenges].map(async challenge =>
    await finish(service, challenge, { code })))
  t.equal(responses.filter(({ status }) => status === 200).length, 1)
  t.strictSame(await service.sql('SELECT count(*)::int FROM refresh_tokens'), [{ count: 2 }])
})

test('a passkey must have signed the challenge of the sign-in, and be one of its user', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const eve = await signUpWithPasskey(service, 'eve')
  const [challenge, other] = [await challengeOf(service, 'ada'), await challengeOf(service, 'ada')]
  const options = await service.post('/api/auth/signin/passkey/options', {})
  const { challenge: anonymous } = options.json<{ challenge: string }>()
  for (const passkey of [
    authenticator.get(other), authenticator.get(anonymous), eve.authenticator.get(challenge),
    authenticator.get(challenge, { isUserVerified: false }), authenticator.get(challenge, { origin: 'https://evil.example' }),
    authenticator.get(challenge, { userHandle: eve.authenticator.userHandle })
  ]) t.strictSame(await outcome(service, challenge, { passkey }), [401, INVALID])
  const nameless = authenticator.get(challenge, { userHandle: null })
  t.equal((await finish(service, challenge, { passkey: nameless })).status, 200)
})

test('a challenge is that of its user: the factor of another one does not complete the sign-in', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await stepBegun(t)
  await signUpWithTotp(service, 'ada')
  const eve = await signUpWithTotp(service, 'eve')
  const challenge = await challengeOf(service, 'ada')
  for (const code of [codeOf(eve.secret), String(eve.recoveryCodes[0])]) {
    t.strictSame(await outcome(service, challenge, { code }), [401, INVALID])
  }
  t.equal((await finish(service, await challengeOf(service, 'eve'), { code: codeOf(eve.secret) })).status, 200, 'which is not used up')
})

test('the challenge of every other ceremony is refused, and one that the service has not made', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
  const challenges = [(await service.post('/api/auth/signin/passkey/options', {})).json<CreationOptions>().challenge, 'x']
  for (const path of ['/api/users/me/passkeys/options', '/api/auth/reauthenticate/options']) {
    challenges.push((await service.as(accessToken, 'POST', path)).json<CreationOptions>().challenge)
  }
  const asked = await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { password: PASSWORD })
  challenges.push(asked.json<{ challenge: string }>().challenge)
  for (const challenge of challenges) {
    t.strictSame(await outcome(service, challenge, { code }), [401, CHALLENGE_INVALID])
  }
  const types = await service.sql<{ type: string }>('SELECT type FROM challenges ORDER BY type')
  t.strictSame(types.map(({ type }) => type), ['passkey-registration', 'passkey-sign-in', 'reauthentication', 'reauthentication'])
})

test('a challenge expires after 5 minutes, and only its hash is stored', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  t.notMatch(JSON.stringify(await service.sql('SELECT * FROM challenges')), challenge)
  t.strictSame(await service.sql('SELECT (expires_at - created_at)::text AS life FROM challenges'), [{ life: '00:05:00' }])
  await service.sql('UPDATE challenges SET expires_at = now()')
  t.strictSame(await outcome(service, challenge, { code }), [401, CHALLENGE_INVALID])
})

const ENDINGS: Array<[title: string, act: (service: TestApp, accessToken: string) => Promise<unknown>]> = [
  ['the user changes the password', async ({ as }, token) =>
    await as(token, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: 'battery staple' })],
  ['the password is changed in psql', async ({ sql }) => await sql(`${SET_HASH} WHERE kind = 'password'`, ['$argon2id$'])],
  ['another factor is added', async (service, token) => await enrolPasskey(service, token)],
  ['the app is replaced', async (service, token) => await enrolTotp(service, token)],
  ['the app is removed', async ({ as }, token) => await as(token, 'DELETE', '/api/users/me/totp')],
  ['the factor is removed in psql', async ({ sql }) => await sql('DELETE FROM credentials WHERE kind = \'totp\'')],
  ['the user is disabled', async ({ sql }) => await sql('UPDATE users SET disabled_at = now()')],
  ['the user is disabled and enabled again', async ({ sql }) => {
    await sql('UPDATE users SET disabled_at = now()')
    await sql('UPDATE users SET disabled_at = NULL')
  }],
  ['the user is deleted', async ({ sql }) => await sql('DELETE FROM users')]
]

for (const [title, act] of ENDINGS) {
  test(`an outstanding challenge is void once ${title}`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { accessToken, recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
    const challenge = await challengeOf(service, 'ada')
    await act(service, accessToken)
    t.strictSame(await outcome(service, challenge, { code }), [401, CHALLENGE_INVALID])
  })
}

for (const [title, text, body] of [
  ['the user is disabled', 'UPDATE users SET disabled_at = now()', INVALID],
  ['the user is deleted', 'DELETE FROM users', INVALID],
  ['the password is changed', `${SET_HASH} WHERE kind = 'password'`, CHALLENGE_INVALID],
  ['the challenge is used', 'DELETE FROM challenges', CHALLENGE_INVALID]
] as const) {
  test(`if ${title} while the code is verified, no session is opened, and the code is not used up`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { recoveryCodes: [code = ''] } = await signUpWithTotp(service, 'ada')
    const challenge = await challengeOf(service, 'ada')
    const verify = service.app.verifyFactorCode
    t.intercept(service.app, 'verifyFactorCode', {
      value: async (...args: Parameters<typeof verify>) => {
        const verified = await verify(...args)
        await service.sql(text, text.includes('$1') ? ['$argon2id$'] : [])
        return verified
      }
    })
    t.strictSame(await outcome(service, challenge, { code }), [401, body])
    const used = await service.sql(
      'SELECT FROM credentials WHERE kind = \'recovery_codes\' AND jsonb_array_length(data -> \'hashes\') < 10')
    t.strictSame(used, [])
    t.notOk((await service.sql('SELECT FROM refresh_tokens')).length > 1)
  })
}

test('a secret of an earlier key is encrypted with the first one when its code is used', async t => {
  const [old, next] = [newEncryptionKey(), newEncryptionKey()]
  const before = await startApp(t, { ENCRYPTION_KEYS: [old] })
  const during = await startApp(t, { DATABASE_URL: before.url, ENCRYPTION_KEYS: [next, old] })
  const after = await startApp(t, { DATABASE_URL: before.url, ENCRYPTION_KEYS: [next] })
  await stepBegun(t)
  const { secret } = await signUpWithTotp(before, 'ada')
  const [first] = await stored(before)
  t.equal((await finish(during, await challengeOf(during, 'ada'), { code: codeOf(secret) })).status, 200)
  const [second] = await stored(before)
  t.not(second?.secret, first?.secret)
  t.equal(Number(second?.step), Number(first?.step) + 1)
  t.equal((await finish(after, await challengeOf(after, 'ada'), { code: codeOf(secret, 1) })).status, 200)
  t.equal((await stored(before))[0]?.secret, second?.secret, 'not again')
})

test('a secret whose key is lost is a line in the log, without the secret, and recovery codes still work', async t => {
  const before = await startApp(t, FACTOR_SETTINGS)
  const { secret, id: userId, recoveryCodes: [recoveryCode = ''] } = await signUpWithTotp(before, 'ada')
  const service = await startApp(t, { DATABASE_URL: before.url, ENCRYPTION_KEYS: [newEncryptionKey()] })
  const challenge = await challengeOf(service, 'ada')
  t.strictSame(await outcome(service, challenge, { code: codeOf(secret) }), [401, INVALID])
  const line = service.logs.find(({ msg }) => msg === 'a TOTP secret could not be decrypted: its key is not in ENCRYPTION_KEYS')
  t.match(line, { level: 50, userId })
  t.notMatch(JSON.stringify(service.logs), new RegExp(`${secret}|${codeOf(secret)}|"secret"`))
  t.equal((await finish(service, challenge, { code: recoveryCode })).status, 200)
})

test('the secret is stored encrypted, and that of another user does not decrypt', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { secret } = await signUpWithTotp(service, 'ada')
  const eve = await signUpWithTotp(service, 'eve')
  const [row] = await service.sql<{ sealed: string }>('SELECT data ->> \'secret\' AS sealed FROM credentials WHERE kind = \'totp\'')
  const bytes = Buffer.from(row?.sealed ?? '', 'base64')
  t.equal(bytes.length, 57)
  t.notOk(JSON.stringify(row).includes(secret))
  await service.sql(`UPDATE credentials SET data = (SELECT data FROM credentials WHERE kind = 'totp' AND user_id = 2)
    WHERE kind = 'totp' AND user_id = 1`)
  t.strictSame(await outcome(service, await challengeOf(service, 'ada'), { code: codeOf(eve.secret, 1) }), [401, INVALID])
})

test('an instance without the settings says which one a factor needs, and offers only what it can verify', async t => {
  const before = await startApp(t, FACTOR_SETTINGS)
  const { accessToken, secret, recoveryCodes: [recoveryCode = ''] } = await signUpWithTotp(before, 'ada')
  const { authenticator } = await enrolPasskey(before, accessToken)
  const service = await startApp(t, { DATABASE_URL: before.url })
  const first = await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })
  const { challenge } = first.json<{ challenge: string }>()
  t.strictSame(first.body, factorRequired(challenge, ['totp', 'recovery-code']))
  t.strictSame(await outcome(service, challenge, { code: codeOf(secret) }), [501, notConfigured('ENCRYPTION_KEYS')])
  t.strictSame(await outcome(service, challenge, { passkey: authenticator.get(challenge) }), [501, notConfigured('PASSKEY_RP_ID')])
  t.equal((await finish(service, challenge, { code: recoveryCode })).status, 200)
})

test('without recovery codes that are left, none is offered', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, ...PASSKEY_SETTINGS })
  await signUpWithTotp(service, 'ada')
  await service.sql('UPDATE credentials SET data = \'{"hashes": []}\' WHERE kind = \'recovery_codes\'')
  const response = await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })
  t.strictSame(response.body, factorRequired(response.json<{ challenge: string }>().challenge, ['totp']))
})

test('a passkey that is used as a second factor has a last use', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator, accessToken } = await signUpWithPasskey(service, 'ada')
  const challenge = await challengeOf(service, 'ada')
  await finish(service, challenge, { passkey: authenticator.get(challenge, { counter: 3 }) })
  const { passkeys } = (await service.as(accessToken, 'GET', '/api/users/me/passkeys')).json<{ passkeys: object[] }>()
  t.match(passkeys, [{ lastUsed: new RegExp(new Date().toISOString().slice(0, 10)) }])
})

test('wrong factors are security events, without what was sent', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { id } = await signUpWithTotp(service, 'ada')
  await finish(service, await challengeOf(service, 'ada'), { code: '987654' })
  t.match(service.logs.filter(line => line['event'] === 'authn_login_fail'), [{ level: 40, userId: id, reason: 'second factor' }])
  t.notMatch(JSON.stringify(service.logs), /987654/)
})
