import { test } from 'tap'
import { HASHES, PASSWORD, SET_HASH, signUpBody, type Tokens } from '../../../support/app.ts'
import { shareApp } from '../../../support/shared-app.ts'

const wrong = { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null }
const NEW = 'battery staple'

test('a caller gets their own user', async t => {
  const { as, signUp, signIn } = await shareApp(t)
  await signUp('alice', ['user', 'admin'])
  const { accessToken } = await signIn('alice')
  const response = await as(accessToken, 'GET', '/api/users/me')
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { created, ...user } = response.json<{ created: string }>()
  t.strictSame(user, { id: 1, username: 'alice', email: 'alice@example.com', roles: ['ROLE_USER', 'ROLE_ADMIN'], emailVerified: false })
  t.equal(new Date(created).toISOString(), created)
})

test('if the user is deleted after the guard has admitted the caller, the token is invalid', async t => {
  const service = await shareApp(t)
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
  const invalid = [401, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }]
  const response = await service.as(accessToken, 'GET', '/api/users/me')
  t.strictSame([response.status, response.body], invalid)

  await service.signUp('bob')
  const bob = await service.signIn('bob')
  const deletion = await service.as(bob.accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([deletion.status, deletion.body], invalid)
})

test('a password change ends every session, also the one that a thief may share, and opens a new one', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const [here, there] = [await service.signIn('alice'), await service.signIn('alice')]
  const body = { currentPassword: PASSWORD, newPassword: NEW }
  const response = await service.as(here.accessToken, 'PUT', '/api/users/me/password', body)
  const { accessToken, refreshToken, ...rest } = response.json<Tokens>()
  t.strictSame([response.status, rest], [200, { message: 'The password was changed.' }])
  t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 200)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 200)
  for (const ended of [here, there]) {
    t.equal((await service.as(ended.accessToken, 'GET', '/api/test/user')).status, 401)
    t.equal((await service.post('/api/auth/refreshtoken', { refreshToken: ended.refreshToken })).status, 403)
  }
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 401)
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: NEW })).status, 200)
})

test('a password change requires the current password and a strong new one', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const change = async (currentPassword: string, newPassword: string) => {
    const passwords = { currentPassword, newPassword }
    const { status, body } = await service.as(accessToken, 'PUT', '/api/users/me/password', passwords)
    return [status, body]
  }
  t.strictSame(await change('wrong horse', NEW), [401, wrong])
  const rejections = [
    ['short', 'VALIDATION_FAILED', 'newPassword must be 8 to 256 characters'],
    ['password1', 'PASSWORD_WEAK', 'Failed! The password is one of the most common.'],
    ['alice!alice', 'PASSWORD_WEAK',
      'Failed! The password is made of the username, the e-mail address or the name of the service.']
  ] as const
  for (const [password, code, message] of rejections) {
    t.strictSame(await change(PASSWORD, password), [400, { message, code }])
  }
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
  t.match(service.logs.find(line => line['event'] === 'authn_password_change_fail'), { level: 40, userId: 1, ip: '127.0.0.1' })
})

test('a password that another request has changed in the meantime is wrong', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const other = await service.app.passwords.hash('another one', '127.0.0.1')
  const hash = service.app.passwords.hash
  t.intercept(service.app.passwords, 'hash', {
    value: async (...args: Parameters<typeof hash>) => {
      await service.sql(SET_HASH, [other])
      return await hash(...args)
    }
  })
  const body = { currentPassword: PASSWORD, newPassword: NEW }
  const response = await service.as(accessToken, 'PUT', '/api/users/me/password', body)
  t.strictSame([response.status, response.body], [401, wrong])
  t.strictSame(await service.sql(HASHES), [{ hash: other }])
})

test('guesses with a stolen access token are throttled, and do not keep the user from signing in', async t => {
  const service = await shareApp(t, { SIGNIN_MAX_FAILURES: 2 })
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  const statuses = []
  for (const password of ['wrong horse', 'wrong horse', PASSWORD]) {
    statuses.push((await service.as(accessToken, 'DELETE', '/api/users/me', { password })).status)
  }
  t.strictSame(statuses, [401, 401, 429])
  const again = await service.signIn('alice')
  t.equal((await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })).status, 429)
  t.equal((await service.as(again.accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })).status, 200)
})

test('a deleted user loses all sessions, and the username is free again', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const [here, there] = [await service.signIn('alice'), await service.signIn('alice')]
  const rejected = await service.as(here.accessToken, 'DELETE', '/api/users/me', { password: 'wrong horse' })
  t.strictSame([rejected.status, rejected.body], [401, wrong])
  const response = await service.as(here.accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([response.status, response.body], [200, { message: 'The user was deleted.' }])
  for (const { accessToken, refreshToken } of [here, there]) {
    t.equal((await service.as(accessToken, 'GET', '/api/test/user')).status, 401)
    t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 403)
  }
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 404)
  t.equal((await service.post('/api/auth/signup', signUpBody('alice'))).status, 200)
  t.equal((await service.as(here.accessToken, 'GET', '/api/test/user')).status, 401, 'old tokens are not valid for the new user')
})

test('the last admin cannot delete themselves', async t => {
  const service = await shareApp(t)
  await service.signUp('ada', ['admin'])
  const { accessToken } = await service.signIn('ada')
  const response = await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })
  t.strictSame([response.status, response.body], [409, { message: 'The last admin cannot be removed.', code: 'LAST_ADMIN' }])
  await service.signUp('grace', ['admin'])
  t.equal((await service.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })).status, 200)
})
