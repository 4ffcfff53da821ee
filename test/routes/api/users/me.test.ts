import { test } from 'tap'
import { PASSWORD, signUpBody, startApp } from '../../../support/app.ts'

const wrong = { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null }
const NEW = 'battery staple'

test('a user sees the own account', async t => {
  const { as, signUp, signIn } = await startApp(t)
  await signUp('alice', ['user', 'admin'])
  const { accessToken } = await signIn('alice')
  const response = await as(accessToken, 'GET', '/api/users/me')
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { created, ...user } = Object(response.body)
  t.strictSame(user, { id: 1, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_ADMIN'] })
  t.equal(new Date(created).toISOString(), created)
})

test('an account that is deleted between the guard and the answer makes the token a bad one', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 200)
  const query = service.app.db.query
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      if (/^(user|credentials)_by_id$/.test(statement.name)) await service.sql('DELETE FROM users')
      return await query(statement)
    }
  })
  const bad = [401, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }]
  const response = await service.as(accessToken, 'GET', '/api/users/me')
  t.strictSame([response.status, response.body], bad)

  await service.signUp('bob')
  const bob = await service.signIn('bob')
  const deletion = await service.as(bob.accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([deletion.status, deletion.body], bad)
})

test('a new password ends the other sessions, and this one goes on', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const [here, there] = [await service.signIn('alice'), await service.signIn('alice')]
  const response = await service.as(here.accessToken, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW })
  t.strictSame([response.status, response.body], [200, { message: 'The password was changed.' }])
  t.equal((await service.as(here.accessToken, 'GET', '/api/test/user')).status, 200)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: here.refreshToken })).status, 200)
  t.equal((await service.as(there.accessToken, 'GET', '/api/test/user')).status, 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: there.refreshToken })).status, 403)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 401)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: NEW })).status, 200)
})

test('a password change wants the current password, and a good new one', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const change = async (currentPassword: string, newPassword: string) => {
    const { status, body } = await service.as(accessToken, 'PUT', '/api/users/me/password', { currentPassword, newPassword })
    return [status, body]
  }
  t.strictSame(await change('wrong horse', NEW), [401, wrong])
  t.strictSame(await change(PASSWORD, 'short'), [400, { message: 'newPassword must be 8 to 256 characters', code: 'VALIDATION_FAILED' }])
  t.strictSame(await change(PASSWORD, 'password1'), [400, { message: 'Failed! The password is one of the most common.', code: 'PASSWORD_WEAK' }])
  t.strictSame(await change(PASSWORD, 'alice!alice'), [400, {
    message: 'Failed! The password is made of the username, the e-mail address or the name of the service.', code: 'PASSWORD_WEAK'
  }])
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
  t.match(service.logs.find(line => line['event'] === 'authn_password_change_fail'), { level: 40, userId: 1, ip: '127.0.0.1' })
})

test('a password that another request has changed meanwhile is a wrong one', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const other = await service.app.passwords.hash('another one')
  const hash = service.app.passwords.hash
  t.intercept(service.app.passwords, 'hash', {
    value: async (password: string) => {
      await service.sql('UPDATE users SET password_hash = $1', [other])
      return await hash(password)
    }
  })
  const response = await service.as(accessToken, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW })
  t.strictSame([response.status, response.body], [401, wrong])
  t.strictSame(await service.sql('SELECT password_hash FROM users'), [{ password_hash: other }])
})

test('guesses with a stolen access token count like those at sign-in', async t => {
  const service = await startApp(t, { SIGNIN_MAX_FAILURES: 2 })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const statuses = []
  for (const password of ['wrong horse', 'wrong horse', PASSWORD]) {
    statuses.push((await service.as(accessToken, 'DELETE', '/api/users/me', { password })).status)
  }
  t.strictSame(statuses, [401, 401, 429])
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 429)
})

test('a deleted account is gone with its sessions, and its name is free', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const [here, there] = [await service.signIn('alice'), await service.signIn('alice')]
  const refused = await service.as(here.accessToken, 'DELETE', '/api/users/me', { password: 'wrong horse' })
  t.strictSame([refused.status, refused.body], [401, wrong])
  const response = await service.as(here.accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([response.status, response.body], [200, { message: 'The account was deleted.' }])
  for (const { accessToken, refreshToken } of [here, there]) {
    t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
    t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 403)
  }
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 404)
  t.equal((await service.post('/api/auth/signup', signUpBody('alice'))).status, 200)
  t.equal((await service.as(here.accessToken, 'GET', '/api/test/user')).status, 401, 'old tokens are not the new user\'s')
})

test('the last admin cannot delete the own account', async t => {
  const service = await startApp(t)
  await service.signUp('ada', ['admin'])
  const { accessToken } = await service.signIn('ada')
  const response = await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([response.status, response.body], [409, { message: 'The last admin cannot be removed.', code: 'LAST_ADMIN' }])
  await service.signUp('grace', ['admin'])
  t.equal((await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })).status, 200)
})
