import { test } from 'tap'
import { PASSWORD, startApp } from '../../../support/app.ts'

test('a sign-in answers with the user and two tokens', async t => {
  const { post, signUp, get } = await startApp(t)
  await signUp('alice', ['user', 'moderator'])
  const reply = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(reply.status, 200)
  t.equal(reply.headers['cache-control'], 'no-store')
  const { accessToken, refreshToken, ...user } = Object(reply.body)
  t.strictSame(user, { id: 1, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_MODERATOR'] })
  t.equal((await get('/api/test/user', { 'x-access-token': accessToken })).status, 200)
  t.match(refreshToken, /^[\w-]{82}$/)
})

test('an unknown user is not found', async t => {
  const { post } = await startApp(t)
  const reply = await post('/api/auth/signin', { username: 'nobody', password: PASSWORD })
  t.equal(reply.status, 404)
  t.strictSame(reply.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
})

test('a wrong password is refused, with the access token that known clients look for', async t => {
  const { post, signUp } = await startApp(t)
  await signUp('alice')
  const reply = await post('/api/auth/signin', { username: 'alice', password: 'wrong horse' })
  t.equal(reply.status, 401)
  t.equal(reply.headers['www-authenticate'], 'Bearer')
  t.strictSame(reply.body, { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null })
})

test('an expired token on a sign-in is not looked at', async t => {
  const { post, signUp } = await startApp(t)
  await signUp('alice')
  const reply = await post('/api/auth/signin', { username: 'alice', password: PASSWORD }, { 'x-access-token': 'garbage' })
  t.equal(reply.status, 200)
})

test('a session keeps where it was opened, and its end', async t => {
  const { post, signUp, sql } = await startApp(t, { REFRESH_TOKEN_TTL: 100 })
  await signUp('alice')
  await post('/api/auth/signin', { username: 'alice', password: PASSWORD }, { 'user-agent': 'x'.repeat(1000) })
  const [session] = await sql(`SELECT ip, length(user_agent) AS agent, generation::int, user_id::int,
    extract(epoch FROM expires_at - created_at)::int AS life FROM refresh_tokens`)
  t.strictSame(session, { ip: '127.0.0.1', agent: 512, generation: 0, user_id: 1, life: 100 })
})

test('a user who is deleted while the password is checked is not found', async t => {
  const { app, post, signUp, sql } = await startApp(t)
  await signUp('alice')
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (hash: string | undefined, password: string) => {
      await sql('DELETE FROM users')
      return await verify(hash, password)
    }
  })
  const reply = await post('/api/auth/signin', { username: 'alice', password: PASSWORD })
  t.equal(reply.status, 404)
  t.strictSame(reply.body, { message: 'User Not found.', code: 'USER_NOT_FOUND' })
})

test('a client that does not name itself signs in as well', async t => {
  const { app, signUp, sql } = await startApp(t)
  await signUp('alice')
  const reply = await app.inject({
    method: 'POST', url: '/api/auth/signin', headers: { 'user-agent': undefined }, payload: { username: 'alice', password: PASSWORD }
  })
  t.equal(reply.statusCode, 200)
  t.strictSame(await sql('SELECT user_agent FROM refresh_tokens'), [{ user_agent: null }])
})
