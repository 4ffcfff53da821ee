import { test } from 'tap'
import { startApp, type TestApp } from '../../../support/app.ts'
import { Authenticator, ORIGIN } from '../../../support/authenticator.ts'
import { CHALLENGE_INVALID, claimsOf, DISABLED, FACTOR_INVALID, notConfigured } from '../../../support/factor-errors.ts'
import { challengeOf, type CreationOptions, enrolPasskey, FACTOR_SETTINGS, signUpWithPasskey } from '../../../support/factors.ts'
import { openMailbox } from '../../../support/mailbox.ts'
import { shareApp } from '../../../support/shared-app.ts'

const PATH = '/api/auth/signin/passkey'

const optionsOf = async ({ post }: TestApp, headers = {}) =>
  (await post(`${PATH}/options`, {}, headers)).json<{ challenge: string, rpId: string }>()

const send = async ({ post }: TestApp, response: object) => await post(PATH, { response })

const signIn = async (service: TestApp, authenticator: Authenticator, ...changes: [Parameters<Authenticator['get']>[1]?]) =>
  await send(service, authenticator.get((await optionsOf(service)).challenge, ...changes))

test('the options name no user, and ask for a verified one', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const response = await service.post(`${PATH}/options`, {})
  const { challenge } = response.json<{ challenge: string }>()
  t.match(challenge, /^[\w-]{43}$/)
  t.strictSame([response.status, response.body],
    [200, { challenge, rpId: 'auth.example.com', timeout: 900_000, userVerification: 'required' }])
  t.equal(response.headers['cache-control'], 'no-store')
  t.match(await service.sql('SELECT type, user_id, session_id, expires_at - created_at = interval \'15 min\' AS is_short FROM challenges'),
    [{ type: 'passkey-sign-in', user_id: null, session_id: null, is_short: true }])
})

test('a passkey signs its user in, without a name and a password, and counts as two factors', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator, userId: id, id: passkey } = await signUpWithPasskey(service, 'ada', ['user', 'admin'])
  const response = await signIn(service, authenticator)
  const { accessToken, refreshToken } = response.json<{ accessToken: string, refreshToken: string }>()
  t.strictSame([response.status, response.body], [200, {
    id, username: 'ada', email: 'ada@example.com', roles: ['ROLE_USER', 'ROLE_ADMIN'], accessToken, refreshToken
  }])
  t.equal(response.headers['cache-control'], 'no-store')
  t.match(claimsOf(accessToken), { amr: ['hwk', 'mfa'], roles: ['user', 'admin'] })
  t.equal((await service.as(accessToken, 'POST', '/api/users/me/recovery-codes')).status, 201, 'the session is fresh')
  const today = new Date().toISOString().slice(0, 10)
  t.match((await service.as(accessToken, 'GET', '/api/users/me/passkeys')).body, { passkeys: [{ id: passkey, lastUsed: new RegExp(today) }] })
})

for (const [title, changes] of [
  ['that has verified no user', { isUserVerified: false }],
  ['without a user present', { isUserPresent: false }],
  ['of another origin', { origin: 'https://evil.example.com' }],
  ['of a page whose origin begins like the right one', { origin: `${ORIGIN}.evil.example.com` }],
  ['of another RP ID', { rpId: 'evil.example.com' }],
  ['to a registration', { type: 'webauthn.create' }],
  ['for another user', { userHandle: 'kWq5cJxkWn1dT6d2mYb0S6r2m6n3v8qk3w0bq9Zc1fY' }],
  ['without a user handle', { userHandle: null }]
] as const) {
  test(`a response ${title} is refused, and logged`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { authenticator } = await signUpWithPasskey(service, 'ada')
    const response = await signIn(service, authenticator, changes)
    t.strictSame([response.status, response.body, response.headers['www-authenticate']], [401, FACTOR_INVALID, 'Bearer'])
    t.match(service.logs.filter(line => line['event'] === 'authn_login_fail'), [{ level: 40, reason: 'passkey' }])
    t.equal((await signIn(service, authenticator)).status, 200)
  })
}

test('a response that is forged, or names another passkey or another challenge, is refused', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const eve = await signUpWithPasskey(service, 'eve')
  const unregistered = new Authenticator()
  unregistered.userHandle = authenticator.userHandle
  const { signature } = authenticator.get((await optionsOf(service)).challenge).response
  type Assertion = ReturnType<Authenticator['get']>
  const cases: Array<[title: string, make: (good: Assertion, challenge: string) => object]> = [
    ['another signature', good => ({ ...good, response: { ...good.response, signature } })],
    ['no signature', good => ({ ...good, response: { ...good.response, signature: 'AAAA' } })],
    ['other data', good => ({ ...good, response: { ...good.response, authenticatorData: 'AAAA' } })],
    ['the passkey of another user', good => ({ ...good, id: eve.authenticator.id, rawId: eve.authenticator.id })],
    ['two ids', good => ({ ...good, rawId: eve.authenticator.id })],
    ['an unknown passkey', (_, challenge) => unregistered.get(challenge)],
    ['no challenge', good => ({ ...good, response: { ...good.response, clientDataJSON: 'AAAA' } })]
  ]
  for (const [title, make] of cases) {
    const { challenge } = await optionsOf(service)
    const refused = await send(service, make(authenticator.get(challenge), challenge))
    t.strictSame([refused.status, refused.body], [401, FACTOR_INVALID], title)
  }
})

test('a challenge is used once, even by a response that is refused, and expires', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const { challenge } = await optionsOf(service)
  t.equal((await send(service, authenticator.get(challenge, { isUserVerified: false }))).status, 401)
  const again = await send(service, authenticator.get(challenge))
  t.strictSame([again.status, again.body], [401, CHALLENGE_INVALID])
  const replayed = authenticator.get((await optionsOf(service)).challenge)
  t.equal((await send(service, replayed)).status, 200)
  t.strictSame((await send(service, replayed)).body, CHALLENGE_INVALID)
  const late = await optionsOf(service)
  await service.sql('UPDATE challenges SET expires_at = now()')
  t.strictSame((await send(service, authenticator.get(late.challenge))).body, CHALLENGE_INVALID)
  t.strictSame((await send(service, authenticator.get('own'))).body, CHALLENGE_INVALID, 'one that the service has not made')
})

test('ten parallel requests with one response open one session', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const response = authenticator.get((await optionsOf(service)).challenge)
  const responses = await Promise.all(Array.from({ length: 10 }, async () => await send(service, response)))
  t.strictSame(responses.map(({ status }) => status).sort(), [200, ...Array.from({ length: 9 }, () => 401)])
  t.strictSame(await service.sql('SELECT count(*)::int FROM refresh_tokens'), [{ count: 2 }])
})

test('a counter that rises is stored; one that falls is logged and not refused; synced passkeys say 0', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator, userId } = await signUpWithPasskey(service, 'ada')
  const counters: unknown[] = []
  for (const counter of [0, 7, 8, 3, 3, 0]) {
    t.equal((await signIn(service, authenticator, { counter })).status, 200, String(counter))
    counters.push(...await service.sql('SELECT (data -> \'counter\')::int AS counter FROM credentials WHERE kind = \'passkey\''))
  }
  t.strictSame(counters, [0, 7, 8, 3, 3, 0].map(counter => ({ counter })))
  t.match(service.logs.filter(line => line['event'] === 'authn_passkey_counter_fell'), [{ level: 40, userId }, { level: 40, userId }])
})

test('a disabled user is told so, once the passkey is verified', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator, userId } = await signUpWithPasskey(service, 'ada')
  await service.sql('UPDATE users SET disabled_at = now()')
  const response = await signIn(service, authenticator)
  t.strictSame([response.status, response.body], [403, DISABLED])
  t.match(service.logs.filter(line => line['event'] === 'authn_login_fail'), [{ level: 40, userId, reason: 'disabled' }])
  t.equal((await signIn(service, authenticator, { isUserVerified: false })).status, 401)
})

test('with EMAIL_VERIFICATION=required, a user who has not verified the address does not get in', async t => {
  const box = await openMailbox(t, { ...FACTOR_SETTINGS, EMAIL_VERIFICATION: 'required' })
  await box.signUp('ada')
  await box.sql('UPDATE users SET email_verified_at = now()')
  const { authenticator } = await enrolPasskey(box, (await box.signIn('ada')).accessToken)
  t.equal((await signIn(box, authenticator)).status, 200)
  await box.sql('UPDATE users SET email_verified_at = NULL')
  const response = await signIn(box, authenticator)
  t.strictSame([response.status, response.body],
    [403, { message: 'Please verify your e-mail address and try again.', code: 'EMAIL_NOT_VERIFIED' }])
})

for (const [title, text, counter] of [
  ['removed', 'DELETE FROM credentials WHERE kind = \'passkey\'', 0],
  ['removed, and its counter has risen', 'DELETE FROM credentials WHERE kind = \'passkey\'', 5],
  ['one of a user who is disabled', 'UPDATE users SET disabled_at = now()', 0]
] as const) {
  test(`a passkey that is ${title}, since it was verified, opens no session`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { authenticator } = await signUpWithPasskey(service, 'ada')
    const open = service.app.sessions.open
    t.intercept(service.app.sessions, 'open', {
      value: async (...args: Parameters<typeof open>) => {
        await service.sql(text)
        return await open(...args)
      }
    })
    const response = await signIn(service, authenticator, { counter })
    t.strictSame([response.status, response.body], [401, FACTOR_INVALID])
  })
}

test('failed sign-ins with passkeys count for the limit of the address', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, RATE_LIMIT_SIGNIN_FAILURES: 3 })
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  for (let i = 0; i < 3; i++) t.equal((await signIn(service, authenticator, { isUserVerified: false })).status, 401)
  const { status, body } = await signIn(service, authenticator)
  t.strictSame([status, body], [429, { message: 'Too many requests. Please wait and try again.', code: 'TOO_MANY_REQUESTS' }])
})

test('wrong passwords and codes do not keep a user with a passkey out', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, SIGNIN_MAX_FAILURES: 2 })
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  for (let i = 0; i < 5; i++) await service.post('/api/auth/signin', { username: 'ada', password: 'wrong' })
  t.equal((await signIn(service, authenticator)).status, 200)
})

test('the RP ID and the origin are those of the settings, whatever Host a request names', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', origin: 'https://evil.example' }
  const { challenge, rpId } = await optionsOf(service, headers)
  t.equal(rpId, 'auth.example.com')
  const evil = authenticator.get(challenge, { rpId: 'evil.example', origin: 'https://evil.example' })
  const response = await service.post(PATH, { response: evil }, headers)
  t.strictSame([response.status, response.body], [401, FACTOR_INVALID])
})

test('with PUBLIC_URL alone, its host is the RP ID', async t => {
  const service = await startApp(t, { PUBLIC_URL: ORIGIN })
  const { authenticator } = await signUpWithPasskey(service, 'ada')
  t.equal((await signIn(service, authenticator)).status, 200)
})

test('without the settings of passkeys, the routes say which one is missing', async t => {
  const service = await shareApp(t)
  const authenticator = new Authenticator()
  for (const response of [await service.post(`${PATH}/options`, {}), await send(service, authenticator.get('x', { userHandle: null }))]) {
    t.strictSame([response.status, response.body], [501, notConfigured('PASSKEY_RP_ID')])
  }
})

test('the challenge of every other ceremony is refused', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { authenticator, accessToken } = await signUpWithPasskey(service, 'ada')
  const fresh = async (path: string) => (await service.as(accessToken, 'POST', path)).json<CreationOptions>().challenge
  for (const challenge of [
    await challengeOf(service, 'ada'), await fresh('/api/auth/reauthenticate/options'), await fresh('/api/users/me/passkeys/options')
  ]) {
    const response = await send(service, authenticator.get(challenge))
    t.strictSame([response.status, response.body], [401, CHALLENGE_INVALID])
  }
})
