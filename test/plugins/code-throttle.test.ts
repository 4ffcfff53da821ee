import { test } from 'tap'
import { PASSWORD, startApp, type TestApp } from '../support/app.ts'
import { FACTOR_INVALID, PASSWORD_INVALID, THROTTLED } from '../support/factor-errors.ts'
import {
  challengeOf, codeOf, enrolPasskey, FACTOR_SETTINGS, finish, signUpWithTotp, stepBegun
} from '../support/factors.ts'
import { openMailbox } from '../support/mailbox.ts'
import { shareApp } from '../support/shared-app.ts'

// One count per user of wrong passwords, codes of authenticator apps, recovery codes and codes of mails.

const SETTINGS = { ...FACTOR_SETTINGS, SIGNIN_MAX_FAILURES: 4 }

/** A code that no app shows. */
const WRONG = '12345'

const WRONG_RECOVERY_CODE = 'aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a'

const wrongPassword = async ({ post }: TestApp) => await post('/api/auth/signin', { username: 'ada', password: 'wrong' })

/** Makes the counters expire sooner, as if time had passed. */
const later = async ({ sql }: TestApp, seconds: number) =>
  await sql('UPDATE rate_limits SET expire = expire - $1::bigint', [seconds * 1000])

/** The challenges of several sign-ins. */
async function challengesOf (service: TestApp, count: number): Promise<string[]> {
  const challenges = []
  for (let i = 0; i < count; i++) challenges.push(await challengeOf(service, 'ada'))
  return challenges
}

/** The statuses of a wrong code for each challenge. */
async function guessAt (service: TestApp, challenges: string[]): Promise<number[]> {
  const statuses = []
  for (const challenge of challenges) {
    statuses.push((await finish(service, challenge, { code: WRONG })).status)
  }
  return statuses
}

const guess = async (service: TestApp, count: number) => await guessAt(service, await challengesOf(service, count))

test('wrong codes of every kind, of every challenge, session and route, add up to one count of the user', async t => {
  const service = await shareApp(t, SETTINGS)
  const { accessToken, recoveryCodes: [recoveryCode = ''] } = await signUpWithTotp(service, 'ada')
  const other = (await finish(service, await challengeOf(service, 'ada'), { code: recoveryCode })).json<{ accessToken: string }>()
  const [one, two] = [await challengeOf(service, 'ada'), await challengeOf(service, 'ada')]
  const reauthenticate = async (token: string, code: string) => await service.as(token, 'POST', '/api/auth/reauthenticate', { code })
  for (const { status, body } of [
    await finish(service, two, { code: WRONG_RECOVERY_CODE }),
    await reauthenticate(other.accessToken, WRONG_RECOVERY_CODE),
    await finish(service, one, { code: WRONG }),
    await reauthenticate(accessToken, WRONG)
  ]) t.strictSame([status, body], [401, FACTOR_INVALID])
  for (const response of [
    await finish(service, one, { code: WRONG }), await finish(service, two, { code: WRONG }),
    await reauthenticate(accessToken, WRONG), await reauthenticate(other.accessToken, WRONG)
  ]) {
    t.strictSame([response.status, response.body, response.headers['retry-after']], [429, THROTTLED, '30'])
  }
})

test('wrong passwords count for the codes as well, and alone keep nobody out', async t => {
  const service = await shareApp(t, SETTINGS)
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  const challenges = await challengesOf(service, 2)
  for (let i = 0; i < 3; i++) {
    const { status, body } = await wrongPassword(service)
    t.strictSame([status, body], [401, PASSWORD_INVALID])
  }
  t.strictSame(await guessAt(service, challenges), [401, 429], 'the fourth failure starts the delay')
  await later(service, 30)
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret) })).status, 200)
})

test('after any number of wrong passwords, the right code is accepted at once', async t => {
  const service = await shareApp(t, { ...SETTINGS, SIGNIN_MAX_FAILURES: 20 })
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  for (let i = 0; i < 19; i++) await wrongPassword(service)
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: codeOf(secret) })).status, 200)
})

test('wrong passwords of a session count too', async t => {
  const service = await shareApp(t, SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  for (let i = 0; i < 3; i++) {
    const { status } = await service.as(accessToken, 'DELETE', '/api/users/me', { password: 'wrong' })
    t.equal(status, 401)
  }
  t.strictSame(await guess(service, 2), [401, 429])
})

test('wrong codes of mails count too, whatever the case of the address', async t => {
  const box = await openMailbox(t, SETTINGS)
  await signUpWithTotp(box, 'ada')
  for (const email of ['ada@example.com', 'ADA@example.com', 'Ada@Example.com']) {
    const { status } = await box.post('/api/auth/password/reset', { email, code: '000000', newPassword: 'battery staple' })
    t.equal(status, 400)
  }
  t.strictSame(await guess(box, 2), [401, 429])
})

test('the right password resets neither the count of the codes nor its own, but a finished sign-in both', async t => {
  const service = await shareApp(t, SETTINGS)
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  const wrong = async () => (await wrongPassword(service)).status
  t.strictSame([await wrong(), await wrong()], [401, 401])
  const challenge = await challengeOf(service, 'ada')
  t.strictSame([await wrong(), await wrong(), await wrong()], [401, 401, 429], 'the count of the passwords goes on')
  t.equal((await finish(service, challenge, { code: codeOf(secret) })).status, 200)
  const challenges = await challengesOf(service, 2)
  t.strictSame([await wrong(), await wrong(), await wrong()], [401, 401, 401])
  t.strictSame(await guessAt(service, challenges), [401, 429], 'both were reset')
})

test('a sign-in from another network resets the count of the passwords from other networks', async t => {
  const service = await shareApp(t, SETTINGS)
  await stepBegun(t)
  const { secret } = await signUpWithTotp(service, 'ada')
  await service.sql('DELETE FROM known_networks')
  for (let i = 0; i < 2; i++) await wrongPassword(service)
  const challenge = await challengeOf(service, 'ada')
  t.equal((await finish(service, challenge, { code: codeOf(secret) })).status, 200)
  t.strictSame(await service.sql('SELECT key FROM rate_limits WHERE key LIKE \'failures:%\''), [])
})

test('codes cannot be guessed by signing in again: each challenge costs a right password, and the count goes on', async t => {
  const service = await shareApp(t, SETTINGS)
  await signUpWithTotp(service, 'ada')
  t.strictSame(await guess(service, 8), [401, 401, 401, 401, 429, 429, 429, 429])
  await later(service, 30)
  t.strictSame(await guess(service, 3), [401, 429, 429], 'one after each delay')
  await later(service, 30)
  t.strictSame(await guess(service, 1), [429], 'which doubles')
  await later(service, 30)
  t.strictSame(await guess(service, 2), [401, 429])
})

test('during a delay even the right code of the app is rejected, and not used up; other factors are accepted', async t => {
  const service = await shareApp(t, SETTINGS)
  await stepBegun(t)
  const { accessToken, secret, recoveryCodes: [recoveryCode = ''] } = await signUpWithTotp(service, 'ada')
  const { authenticator } = await enrolPasskey(service, accessToken)
  await guess(service, 4)
  const code = codeOf(secret)
  const throttled = await finish(service, await challengeOf(service, 'ada'), { code })
  t.strictSame([throttled.status, throttled.body], [429, THROTTLED])
  const challenge = await challengeOf(service, 'ada')
  t.equal((await finish(service, challenge, { passkey: authenticator.get(challenge) })).status, 200)
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code: recoveryCode })).status, 200)
  t.strictSame(await guess(service, 1), [429], 'neither forgives the guesses of codes')
  await later(service, 30)
  t.equal((await finish(service, await challengeOf(service, 'ada'), { code })).status, 200)
})

test('of 40 parallel guesses at two instances, as many are verified as the setting says', async t => {
  const service = await shareApp(t, SETTINGS)
  const other = await startApp(t, { ...SETTINGS, DATABASE_URL: service.url })
  await signUpWithTotp(service, 'ada')
  const challenges = await Promise.all(Array.from({ length: 40 }, async () => await challengeOf(service, 'ada')))
  const responses = await Promise.all(challenges.map(async (challenge, index) =>
    await finish(index % 2 === 0 ? service : other, challenge, { code: WRONG })))
  t.equal(responses.filter(({ status }) => status === 401).length, 4)
  t.equal(responses.filter(({ status }) => status === 429).length, 36)
})

test('users have counts of their own, and failures without a second factor are not counted for codes', async t => {
  const service = await shareApp(t, SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  await service.signUp('bob')
  await guess(service, 4)
  for (let i = 0; i < 4; i++) await service.post('/api/auth/signin', { username: 'bob', password: 'wrong' })
  t.strictSame(await service.sql('SELECT points FROM rate_limits WHERE key LIKE \'failures:%\' ORDER BY points'),
    [{ points: 4 }, { points: 4 }])
  t.equal((await service.as(accessToken, 'GET', '/api/users/me')).status, 200)
})

test('a sign-in without a second factor resets its count as before', async t => {
  const service = await shareApp(t, SETTINGS)
  await service.signUp('ada')
  for (let i = 0; i < 3; i++) await wrongPassword(service)
  t.equal((await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })).status, 200)
  t.strictSame(await service.sql('SELECT key FROM rate_limits WHERE key LIKE \'failures:%\''), [])
})
