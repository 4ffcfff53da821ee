import { type Test, test } from 'tap'
import { PASSWORD, startApp, type TestApp } from '../support/app.ts'
import { Authenticator } from '../support/authenticator.ts'
import { factorRequired, PASSWORD_INVALID, TOKEN_INVALID } from '../support/factor-errors.ts'
import { codeOf, type CreationOptions, enrolPasskey, enrolTotp, FACTOR_SETTINGS, signUpWithTotp } from '../support/factors.ts'
import { shareApp } from '../support/shared-app.ts'

/** Acts once, after a password has been verified. */
function afterVerifying (t: Test, { app }: TestApp, act: () => Promise<unknown>) {
  const verify = app.passwords.verify
  let isFirst = true
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      const matches = await verify(...args)
      const acts = isFirst
      isFirst = false
      if (acts) await act()
      return matches
    }
  })
}

for (const [factor, enrol, methods] of [
  ['an app', enrolTotp, ['totp', 'recovery-code']], ['a passkey', enrolPasskey, ['passkey', 'recovery-code']]
] as const) {
  test(`a sign-in that has verified the password before ${factor} was added opens no session, and asks for it`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    await service.signUp('ada')
    const { accessToken } = await service.signIn('ada')
    afterVerifying(t, service, async () => await enrol(service, accessToken))
    const response = await service.post('/api/auth/signin', { username: 'ada', password: PASSWORD })
    t.strictSame([response.status, response.body],
      [401, factorRequired(response.json<{ challenge: string }>().challenge, [...methods])])
    t.strictSame(await service.sql('SELECT count(*)::int FROM refresh_tokens'), [{ count: 1 }])
  })

  test(`a reauthentication with the password that began before ${factor} was added renews nothing`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    await service.signUp('ada')
    const { accessToken } = await service.signIn('ada')
    afterVerifying(t, service, async () => await enrol(service, accessToken))
    const response = await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { password: PASSWORD })
    t.strictSame([response.status, response.body], [401, PASSWORD_INVALID])
  })
}

test('a refresh after an enrolment ends nothing but the other sessions', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  await service.signUp('ada')
  const [here, there] = [await service.signIn('ada'), await service.signIn('ada')]
  await enrolTotp(service, here.accessToken)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: there.refreshToken })).status, 403)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: here.refreshToken })).status, 200)
})

test('an enrolment on one instance ends the sessions on another within milliseconds', async t => {
  const here = await shareApp(t, FACTOR_SETTINGS)
  const there = await startApp(t, { ...FACTOR_SETTINGS, DATABASE_URL: here.url })
  await here.signUp('ada')
  const [one, two] = [await here.signIn('ada'), await there.signIn('ada')]
  t.equal((await there.as(two.accessToken, 'GET', '/api/test/user')).status, 200)
  await enrolTotp(here, one.accessToken)
  const { status, body } = await there.as(two.accessToken, 'POST', '/api/auth/signout/all')
  t.strictSame([status, body], [401, TOKEN_INVALID])
})

/** Lets the guard admit a session as it is now, whatever happens to it. */
function freeze (t: Test, { app }: TestApp, accessToken: string) {
  const cached = app.sessionCache.get(app.accessTokens.verify(accessToken))
  t.intercept(app.sessionCache, 'get', { value: () => cached })
}

for (const [title, text] of [
  ['ends', 'DELETE FROM refresh_tokens'],
  ['is that of a user who is deleted', 'DELETE FROM users'],
  ['is that of a user who is disabled', 'UPDATE users SET disabled_at = now()']
] as const) {
  test(`a session that ${title} changes no factors, even if this instance has not been notified yet`, async t => {
    const service = await shareApp(t, FACTOR_SETTINGS)
    const { accessToken } = await signUpWithTotp(service, 'ada')
    const { secret } = (await service.as(accessToken, 'POST', '/api/users/me/totp')).json<{ secret: string }>()
    const options = (await service.as(accessToken, 'POST', '/api/users/me/passkeys/options')).json<CreationOptions>()
    freeze(t, service, accessToken)
    await service.sql(text)
    for (const [method, path, payload] of [
      ['DELETE', '/api/users/me/totp', undefined], ['POST', '/api/users/me/recovery-codes', undefined],
      ['POST', '/api/users/me/passkeys', { response: new Authenticator().create(options) }]
    ] as const) {
      const response = await service.as(accessToken, method, path, payload)
      t.strictSame([response.status, response.body], [401, TOKEN_INVALID], `${method} ${path}`)
    }
    if (text.startsWith('DELETE FROM users')) {
      for (const path of ['/api/users/me/totp', '/api/users/me/passkeys/options']) {
        const response = await service.as(accessToken, 'POST', path)
        t.strictSame([response.status, response.body], [401, TOKEN_INVALID], path)
      }
    }
    t.equal((await service.as(accessToken, 'PUT', '/api/users/me/totp', { code: codeOf(secret) })).status,
      text.startsWith('DELETE FROM refresh') ? 401 : 400)
  })
}

test('an idle session that expires meanwhile adds no factor', async t => {
  const service = await shareApp(t, { ...FACTOR_SETTINGS, REFRESH_IDLE_TTL: 60 })
  await service.signUp('ada')
  const { accessToken } = await service.signIn('ada')
  const { secret } = (await service.as(accessToken, 'POST', '/api/users/me/totp')).json<{ secret: string }>()
  freeze(t, service, accessToken)
  await service.sql('UPDATE refresh_tokens SET last_used_at = now() - interval \'61 s\'')
  const response = await service.as(accessToken, 'PUT', '/api/users/me/totp', { code: codeOf(secret) })
  t.strictSame([response.status, response.body], [401, TOKEN_INVALID])
  t.strictSame(await service.sql('SELECT kind FROM credentials'), [{ kind: 'password' }], 'nothing is stored')
})

test('a factor that is added or removed in psql voids the challenges and the sign-ins under way as well', async t => {
  const service = await shareApp(t, FACTOR_SETTINGS)
  const { accessToken } = await signUpWithTotp(service, 'ada')
  const version = async () => (await service.sql<{ version: number }>('SELECT version FROM credentials WHERE kind = \'password\''))[0]?.version
  t.equal(await version(), 2)
  await service.as(accessToken, 'POST', '/api/auth/reauthenticate/options')
  await service.sql('DELETE FROM credentials WHERE kind = \'totp\'')
  t.equal(await version(), 3)
  t.strictSame(await service.sql('SELECT FROM challenges'), [])
})
