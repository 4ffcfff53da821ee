import { test } from 'tap'
import { PASSWORD, type TestApp } from '../../../support/app.ts'
import { CHALLENGE_INVALID, FACTOR_INVALID, factorRequired, THROTTLED } from '../../../support/factor-errors.ts'
import {
  challengeOf, codeOf, enrolPasskey, enrolTotp, FACTOR_SETTINGS, finish, stepBegun
} from '../../../support/factors.ts'
import { type Mailbox, openMailbox, signUpVerified } from '../../../support/mailbox.ts'

// The reset of the password of a user with a second factor.

const RESET = { message: 'The password was reset. Please sign in.' }
const NEW = 'battery staple'
const ADA = 'ada@example.com'

async function reset (service: TestApp, body: object) {
  const response = await service.post('/api/auth/password/reset', { newPassword: NEW, ...body })
  return [response.status, response.body]
}

const signIn = async (service: TestApp, password: string) =>
  (await service.post('/api/auth/signin', { username: 'ada', password })).json<{ code?: string }>().code ?? 'signed in'

/** Ada, with a verified address and an authenticator app, and the link and the code of a mail. */
async function forgotten (box: Mailbox) {
  await signUpVerified(box, 'ada')
  const signedIn = await box.signIn('ada')
  const enrolled = { ...signedIn, ...await enrolTotp(box, signedIn.accessToken) }
  await box.letter(ADA)
  await box.post('/api/auth/password/forgot', { email: ADA })
  const { token, code } = await box.letter(ADA, 2)
  return { ...enrolled, token, code }
}

const challengeIn = ([, body]: unknown[]): string =>
  body instanceof Object && 'challenge' in body && typeof body.challenge === 'string' ? body.challenge : ''

test('without the second factor the password is not reset, and the link stays valid', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  await stepBegun(t)
  const { token, secret, accessToken } = await forgotten(box)
  const asked = await reset(box, { token })
  t.match(challengeIn(asked), /^[\w-]{43}$/)
  t.strictSame(asked, [401, factorRequired(challengeIn(asked), ['totp', 'recovery-code'])])
  t.strictSame(await reset(box, { token, secondFactor: { code: '000000' } }), [401, FACTOR_INVALID])
  t.equal(await signIn(box, PASSWORD), 'SECOND_FACTOR_REQUIRED', 'the password is the earlier one')
  t.equal((await box.as(accessToken, 'GET', '/api/users/me')).status, 200)
  t.strictSame(await reset(box, { token, secondFactor: { code: codeOf(secret) } }), [200, RESET])
  t.equal((await box.as(accessToken, 'GET', '/api/users/me')).status, 401)
  t.equal(await signIn(box, PASSWORD), 'PASSWORD_INVALID')
  t.equal(await signIn(box, NEW), 'SECOND_FACTOR_REQUIRED', 'the factor is kept')
  t.match((await reset(box, { token, secondFactor: { code: codeOf(secret, 1) } }))[1], { code: 'TOKEN_INVALID' })
})

test('the code of the mail and a recovery code reset the password as well, and the recovery code is used up', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { code, recoveryCodes: [recoveryCode = ''] } = await forgotten(box)
  t.strictSame(await reset(box, { email: ADA, code, secondFactor: { code: recoveryCode } }), [200, RESET])
  const challenge = (await box.post('/api/auth/signin', { username: 'ada', password: NEW })).json<{ challenge: string }>()
  t.equal((await finish(box, challenge.challenge, { code: recoveryCode })).status, 401)
  const subjects = async () => {
    await box.settled()
    return box.lettersTo(ADA).map(({ subject }) => subject).slice(2).sort()
  }
  t.strictSame(await subjects(), ['A recovery code was used for gatehouse', 'Your password for gatehouse was reset'])
})

test('a passkey that signs the challenge resets the password, and that of another ceremony does not', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { token, accessToken } = await forgotten(box)
  const { authenticator } = await enrolPasskey(box, accessToken)
  const present = async (challenge: string) =>
    await reset(box, { token, secondFactor: { passkey: authenticator.get(challenge) } })
  const asked = await reset(box, { token })
  t.strictSame(asked, [401, factorRequired(challengeIn(asked), ['totp', 'passkey', 'recovery-code'])])
  const { challenge } = (await box.post('/api/auth/signin/passkey/options', {})).json<{ challenge: string }>()
  const options = await box.as(accessToken, 'POST', '/api/auth/reauthenticate/options')
  const { challenge: renewal } = options.json<{ challenge: string }>()
  for (const other of [await challengeOf(box, 'ada'), challenge, renewal, 'own']) {
    t.strictSame(await present(other), [401, CHALLENGE_INVALID])
  }
  t.strictSame(await reset(box, {
    token, secondFactor: { passkey: authenticator.get(challengeIn(asked), { isUserVerified: false }) }
  }), [401, FACTOR_INVALID])
  t.strictSame(await present(challengeIn(asked)), [200, RESET])
})

test('missing and wrong factors count, and the link does not go round the throttle', async t => {
  const box = await openMailbox(t, { ...FACTOR_SETTINGS, SIGNIN_MAX_FAILURES: 4 })
  await stepBegun(t)
  const { token, secret } = await forgotten(box)
  const code = codeOf(secret)
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await reset(box, { token }))[0])
  for (let i = 0; i < 2; i++) statuses.push((await reset(box, { token, secondFactor: { code: '12345' } }))[0])
  t.strictSame(statuses, [401, 401, 401, 401, 429])
  t.strictSame(await reset(box, { token, secondFactor: { code } }), [429, THROTTLED], 'the right one as well')
  await box.sql('UPDATE rate_limits SET expire = expire - 30000')
  t.strictSame(await reset(box, { token, secondFactor: { code } }), [200, RESET])
})

test('the factor of another user does not reset the password', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { token } = await forgotten(box)
  await box.signUp('eve')
  const eve = await enrolTotp(box, (await box.signIn('eve')).accessToken)
  t.strictSame(await reset(box, { token, secondFactor: { code: String(eve.recoveryCodes[0]) } }), [401, FACTOR_INVALID])
})

test('a reset voids the challenge of a sign-in that has verified the earlier password', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { token, recoveryCodes: [one = '', two = ''] } = await forgotten(box)
  const challenge = await challengeOf(box, 'ada')
  t.strictSame(await reset(box, { token, secondFactor: { code: one } }), [200, RESET])
  const { status, body } = await finish(box, challenge, { code: two })
  t.strictSame([status, body], [401, CHALLENGE_INVALID])
})

test('the owner of an address that was never verified is not asked, and the factors of the squatter are dropped', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  await box.signUp('ada')
  const squatter = await box.signIn('ada')
  const { accessToken } = await enrolTotp(box, squatter.accessToken)
  const { authenticator } = await enrolPasskey(box, accessToken)
  await box.post('/api/auth/password/forgot', { email: ADA })
  const { token } = await box.letter(ADA, 3)
  t.strictSame(await reset(box, { token }), [200, RESET])
  t.strictSame(await box.sql('SELECT kind FROM credentials'), [{ kind: 'password' }])
  t.equal(await signIn(box, NEW), 'signed in')
  const { challenge } = (await box.post('/api/auth/signin/passkey/options', {})).json<{ challenge: string }>()
  t.equal((await box.post('/api/auth/signin/passkey', { response: authenticator.get(challenge) })).status, 401)
})

test('a factor that is added while the reset is under way is asked for', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  await signUpVerified(box, 'ada')
  const { accessToken } = await box.signIn('ada')
  await box.post('/api/auth/password/forgot', { email: ADA })
  const { token } = await box.letter(ADA)
  const hash = box.app.passwords.hash
  t.intercept(box.app.passwords, 'hash', {
    value: async (...args: Parameters<typeof hash>) => {
      await enrolTotp(box, accessToken)
      return await hash(...args)
    }
  })
  const asked = await reset(box, { token })
  t.strictSame(asked, [401, factorRequired(challengeIn(asked), ['totp', 'recovery-code'])])
})

test('a user who is disabled or deleted while the factor is verified is not reset', async t => {
  for (const text of ['UPDATE users SET disabled_at = now()', 'DELETE FROM users']) {
    const box = await openMailbox(t, FACTOR_SETTINGS)
    const { token, recoveryCodes: [code = ''] } = await forgotten(box)
    const hash = box.app.passwords.hash
    t.intercept(box.app.passwords, 'hash', {
      value: async (...args: Parameters<typeof hash>) => {
        await box.sql(text)
        return await hash(...args)
      }
    })
    t.equal((await reset(box, { token, secondFactor: { code } }))[0], text.startsWith('DELETE') ? 400 : 401)
  }
})

test('secondFactor has either a code or a passkey', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const message = 'either code or passkey is required'
  t.strictSame(await reset(box, { token: 'x', secondFactor: {} }), [400, { message, code: 'VALIDATION_FAILED' }])
})
