import { type Test, test } from 'tap'
import { PASSWORD, SET_HASH, type SignedIn, type TestApp } from '../../../support/app.ts'
import { shareApp } from '../../../support/shared-app.ts'

test('a sign-in returns the user and two tokens', async t => {
  const { post, signUp, get } = await shareApp(t)
  await signUp('alice', ['user', 'moderator'])
  const response = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { accessToken, refreshToken, ...user } = response.json<SignedIn>()
  t.strictSame(user, { id: 1, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_MODERATOR'] })
  t.equal((await get('/api/test/user', { 'x-access-token': accessToken })).status, 200)
  t.match(refreshToken, /^[\w-]{82}$/)
})

test('an unknown user is not found', async t => {
  const { post } = await shareApp(t)
  const response = await post('/api/auth/signin', { username: 'nobody', password: PASSWORD })
  t.equal(response.status, 404)
  t.strictSame(response.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
})

test('a wrong password is rejected, with the field accessToken that known clients read', async t => {
  const { post, signUp } = await shareApp(t)
  await signUp('alice')
  const response = await post('/api/auth/signin', { username: 'alice', password: 'wrong horse' })
  t.equal(response.status, 401)
  t.equal(response.headers['www-authenticate'], 'Bearer')
  t.strictSame(response.body, { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null })
})

test('an access token with a sign-in is ignored', async t => {
  const { post, signUp } = await shareApp(t)
  await signUp('alice')
  const response = await post('/api/auth/signin', { username: 'alice', password: PASSWORD }, { 'x-access-token': 'garbage' })
  t.equal(response.status, 200)
})

test('a session records its address, its user agent and its expiry', async t => {
  const { post, signUp, sql } = await shareApp(t, { REFRESH_TOKEN_TTL: 100 })
  await signUp('alice')
  await post('/api/auth/signin', { username: 'alice', password: PASSWORD }, { 'user-agent': 'x'.repeat(1000) })
  const [session] = await sql(`SELECT ip, length(user_agent) AS agent, generation::int, user_id::int,
    extract(epoch FROM expires_at - created_at)::int AS life FROM refresh_tokens`)
  t.strictSame(session, { ip: '127.0.0.1', agent: 512, generation: 0, user_id: 1, life: 100 })
})

test('a user who is deleted while the password is verified is not found', async t => {
  const { app, post, signUp, sql } = await shareApp(t)
  await signUp('alice')
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      await sql('DELETE FROM users')
      return await verify(...args)
    }
  })
  const response = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(response.status, 404)
  t.strictSame(response.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
})

test('a client without a user agent can sign in', async t => {
  const { app, signUp, sql } = await shareApp(t)
  await signUp('alice')
  const response = await app.inject({
    method: 'POST', url: '/api/auth/signin', headers: { 'user-agent': undefined }, payload: { username: 'alice', password: PASSWORD }
  })
  t.equal(response.statusCode, 200)
  t.strictSame(await sql('SELECT user_agent FROM refresh_tokens'), [{ user_agent: null }])
})

test('only the right password reveals that a user is disabled', async t => {
  const { post, signUp, sql, logs } = await shareApp(t)
  await signUp('alice')
  await sql('UPDATE users SET disabled_at = now()')
  const right = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(right.status, 403)
  t.equal(right.headers['www-authenticate'], undefined)
  t.strictSame(right.body, { message: 'Account is disabled.', code: 'ACCOUNT_DISABLED' })
  t.equal((await post('/api/auth/signin', { username: 'alice', password: 'wrong horse' })).status, 401)
  t.match(logs.filter(line => 'event' in line),
    [{ event: 'authn_login_fail', userId: 1, reason: 'disabled' }, { event: 'authn_login_fail', userId: 1 }])
})

/** Acts each time after a password has been verified. */
const afterVerifying = (t: Test, { app }: TestApp, act: () => Promise<unknown>) => {
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      const matches = await verify(...args)
      await act()
      return matches
    }
  })
}

test('a password that is changed while it is verified is verified again', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const other = await service.app.passwords.hash('battery staple', '127.0.0.1')
  afterVerifying(t, service, async () => await service.sql(SET_HASH, [other]))
  const response = await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(response.status, 401)
  t.strictSame(await service.sql('SELECT FROM refresh_tokens'), [])
})

test('a user who is disabled while the password is verified gets no session', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  afterVerifying(t, service, async () => await service.sql('UPDATE users SET disabled_at = now()'))
  const response = await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.strictSame([response.status, response.body], [403, { message: 'Account is disabled.', code: 'ACCOUNT_DISABLED' }])
  t.strictSame(await service.sql('SELECT FROM refresh_tokens'), [])
})

test('a sign-in whose user keeps changing gets 503 and Retry-After', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  afterVerifying(t, service, async () =>
    await service.sql(SET_HASH, [await service.app.passwords.hash(PASSWORD, '127.0.0.1')]))
  const response = await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(response.status, 503)
  t.equal(response.headers['retry-after'], '1')
})
