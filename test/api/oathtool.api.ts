import { test } from 'tap'
import { startApp, type TestApp } from '../support/app.ts'
import { challengeOf, FACTOR_SETTINGS, finish, stepBegun } from '../support/factors.ts'
import { run } from './description.ts'

const INVALID = { message: 'The code or the passkey was not accepted. A code works once.', code: 'CODE_INVALID' }

/** The code that Debian's oathtool makes of a secret. @param steps from the current one */
async function oathtool (secret: string, steps = 0): Promise<string> {
  const now = new Date(Date.now() + steps * 30_000).toISOString()
  const { code, stdout, stderr } = await run('oathtool', ['--totp', '--base32', `--now=${now}`, secret])
  if (code !== 0) throw new Error(stderr)
  return stdout.trim()
}

/** Signs up and in, and begins to set up an authenticator app. */
async function begin (service: TestApp) {
  await service.signUp('ada')
  const { accessToken } = await service.signIn('ada')
  const { secret, uri } = (await service.as(accessToken, 'POST', '/api/users/me/totp')).json<{ secret: string, uri: string }>()
  const enrol = async (code: string) => await service.as(accessToken, 'PUT', '/api/users/me/totp', { code })
  const signIn = async (code: string) => await finish(service, await challengeOf(service, 'ada'), { code })
  return { secret, uri, enrol, signIn }
}

test('the codes of oathtool set up an app, sign in and reauthenticate, each once', async t => {
  await stepBegun(t)
  const service = await startApp(t, FACTOR_SETTINGS)
  const { secret, uri, enrol, signIn } = await begin(service)
  t.equal(new URL(uri).searchParams.get('secret'), secret)
  t.strictSame((await enrol(await oathtool(secret, 2))).body, {
    message: 'The code is wrong or has expired.', code: 'CODE_INVALID'
  })
  const enrolled = await enrol(await oathtool(secret, -1))
  t.match(enrolled, { status: 200, body: { recoveryCodes: { length: 10 } } })

  const again = await signIn(await oathtool(secret, -1))
  t.strictSame([again.status, again.body], [401, INVALID], 'the code of the enrolment')
  const current = await oathtool(secret)
  t.match(await signIn(current), { status: 200, body: { username: 'ada' } })
  const replay = await signIn(current)
  t.strictSame([replay.status, replay.body], [401, INVALID], 'the code of the sign-in')

  const { accessToken } = enrolled.json<{ accessToken: string }>()
  const reauthenticate = async (code: string) => await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { code })
  const used = await reauthenticate(current)
  t.strictSame([used.status, used.body], [401, INVALID], 'the code of the sign-in')
  const next = await oathtool(secret, 1)
  t.match(await reauthenticate(next), { status: 200, body: { accessToken: String } })
  const last = await reauthenticate(next)
  t.strictSame([last.status, last.body], [401, INVALID], 'the code of the reauthentication')
})

test('a clock may be one step early or late, and no more', async t => {
  await stepBegun(t)
  const service = await startApp(t, FACTOR_SETTINGS)
  const { secret, enrol, signIn } = await begin(service)
  await enrol(await oathtool(secret))
  for (const [steps, status] of [[-2, 401], [-1, 200], [1, 200], [2, 401]] as const) {
    // As if no code had been accepted yet.
    await service.sql('UPDATE credentials SET data = jsonb_set(data, \'{lastStep}\', \'0\') WHERE kind = \'totp\'')
    t.equal((await signIn(await oathtool(secret, steps))).status, status, `${steps} steps`)
  }
})
