import { test } from 'tap'
import { ApiError } from '../../../../src/errors.ts'
import { PASSWORD, signUpBody } from '../../../support/app.ts'
import { sessionEntry } from '../../../support/session.ts'
import { shareApp } from '../../../support/shared-app.ts'

const registered = { message: 'User was registered successfully!' }
const usernameTaken = { message: 'Failed! Username is already in use!', code: 'USERNAME_TAKEN' }
const emailTaken = { message: 'Failed! Email is already in use!', code: 'EMAIL_TAKEN' }

test('a sign-up creates a user with the role user', async t => {
  const { post, sql } = await shareApp(t)
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 200)
  t.strictSame(response.body, registered)
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(await sql('SELECT username, email, name FROM users JOIN user_roles ON user_id = users.id JOIN roles ON role_id = roles.id'),
    [{ username: 'alice', email: 'alice@example.com', name: 'user' }])
})

test('the password is stored only as an argon2id hash', async t => {
  const { post, sql } = await shareApp(t)
  await post('/api/auth/signup', signUpBody('alice'))
  t.match(await sql('SELECT user_id::int, kind, data, version, last_used_at FROM credentials'), [
    { user_id: 1, kind: 'password', data: { hash: /^\$argon2id\$v=19\$m=1024,t=1,p=1\$/ }, version: 1, last_used_at: null }
  ])
  t.notMatch(JSON.stringify(await sql('SELECT * FROM users JOIN credentials ON user_id = users.id')), PASSWORD)
})

for (const roles of [[], undefined, ['user'], ['user', 'user']]) {
  test(`roles ${JSON.stringify(roles)} give the role user`, async t => {
    const { post, signIn } = await shareApp(t)
    const response = await post('/api/auth/signup', { ...signUpBody('alice'), roles })
    t.equal(response.status, 200)
    t.match(await signIn('alice'), { roles: ['ROLE_USER'] })
  })
}

test('a taken username is rejected, in any case, even if the e-mail address is taken too', async t => {
  const { post } = await shareApp(t)
  await post('/api/auth/signup', signUpBody('alice'))
  for (const body of [signUpBody('alice'), { ...signUpBody('Alice'), email: 'other@example.com' }]) {
    const response = await post('/api/auth/signup', body)
    t.equal(response.status, 400)
    t.strictSame(response.body, usernameTaken)
  }
})

test('a taken e-mail address is rejected, in any case', async t => {
  const { post } = await shareApp(t)
  await post('/api/auth/signup', signUpBody('alice'))
  const response = await post('/api/auth/signup', { ...signUpBody('bob'), email: 'ALICE@Example.com' })
  t.equal(response.status, 400)
  t.strictSame(response.body, emailTaken)
})

test('the username and the e-mail address keep their case', async t => {
  const { post, signIn } = await shareApp(t)
  await post('/api/auth/signup', { ...signUpBody('Alice'), email: 'Alice@Example.com' })
  t.match(await signIn('aLICE'), { username: 'Alice', email: 'Alice@Example.com' })
})

test('an unknown role is rejected and creates no user', async t => {
  const { post, sql } = await shareApp(t, { SIGNUP_ROLES: ['user', 'moderator', 'admin'] })
  for (const roles of [['wizard'], ['user', 'wizard'], ['ROLE_ADMIN'], ['Admin']]) {
    const response = await post('/api/auth/signup', { ...signUpBody('alice'), roles })
    const unknown = roles.at(-1)
    t.equal(response.status, 400)
    t.strictSame(response.body, { message: `Failed! Role does not exist = ${unknown}`, code: 'ROLE_UNKNOWN' })
  }
  t.strictSame(await sql('SELECT id FROM users'), [])
})

test('a role that is not open to sign-up is denied with what to do, and creates no user', async t => {
  const { post, sql } = await shareApp(t)
  const response = await post('/api/auth/signup', { ...signUpBody('alice'), roles: ['user', 'admin'] })
  t.equal(response.status, 403)
  t.strictSame(response.body, {
    message: 'Failed! Role admin is not open to sign-up. Send an admin\'s access token, or add the role to SIGNUP_ROLES.',
    code: 'ROLE_NOT_OPEN'
  })
  t.strictSame(await sql('SELECT id FROM users'), [])
})

test('SIGNUP_ROLES opens roles to everybody', async t => {
  const { post, signIn } = await shareApp(t, { SIGNUP_ROLES: ['user', 'moderator', 'admin'] })
  const response = await post('/api/auth/signup', { ...signUpBody('alice'), roles: ['admin', 'moderator', 'user'] })
  t.equal(response.status, 200)
  t.match(await signIn('alice'), { roles: ['ROLE_USER', 'ROLE_MODERATOR', 'ROLE_ADMIN'] })
})

test('the token of an admin may assign any role; that of a moderator, an invalid and an expired one may not', async t => {
  const { app, post, signUp, signIn } = await shareApp(t)
  await signUp('root', ['admin'])
  await signUp('mod', ['moderator'])
  const admin = await signIn('root')
  const moderator = await signIn('mod')
  const expired = app.accessTokens.issue(sessionEntry({ userId: admin.id, roles: ['admin'], expiresAt: new Date(0) }))
  const body = { ...signUpBody('alice'), roles: ['moderator'] }
  for (const token of [moderator.accessToken, 'garbage', expired]) {
    const response = await post('/api/auth/signup', body, { 'x-access-token': token })
    t.equal(response.status, 403)
    t.match(response.body, { code: 'ROLE_NOT_OPEN' })
  }
  const response = await post('/api/auth/signup', body, { authorization: `Bearer ${admin.accessToken}` })
  t.equal(response.status, 200)
  t.strictSame(response.body, registered)
})

test('an admin whose session is not fresh, or lacks the second factor, assigns no roles', async t => {
  const { app, post, signUp, signIn, sql } = await shareApp(t)
  await signUp('root', ['admin'])
  const { accessToken } = await signIn('root')
  const body = { ...signUpBody('alice'), roles: ['moderator'] }
  for (const change of [
    'UPDATE refresh_tokens SET authenticated_at = now() - interval \'601 s\'',
    `UPDATE refresh_tokens SET authenticated_at = now();
      INSERT INTO credentials (user_id, kind, data) VALUES (1, 'totp', '{"secret": "", "lastStep": 0}')`
  ]) {
    await sql(change)
    app.sessionCache.invalidate(1)
    const response = await post('/api/auth/signup', body, { 'x-access-token': accessToken })
    t.match([response.status, response.body], [403, { code: 'ROLE_NOT_OPEN' }])
  }
  await sql('UPDATE refresh_tokens SET amr = ARRAY[\'pwd\', \'otp\', \'mfa\']')
  app.sessionCache.invalidate(1)
  t.equal((await post('/api/auth/signup', body, { 'x-access-token': accessToken })).status, 200)
})

test('an admin who must set up a second factor first assigns no roles', async t => {
  const { post, signUp, signIn } = await shareApp(t, { SECOND_FACTOR: 'admins' })
  await signUp('root', ['admin'])
  const { accessToken } = await signIn('root')
  const response = await post('/api/auth/signup', { ...signUpBody('alice'), roles: ['moderator'] }, { 'x-access-token': accessToken })
  t.match([response.status, response.body], [403, { code: 'ROLE_NOT_OPEN' }])
})

test('an access token with a plain sign-up is ignored', async t => {
  const { post } = await shareApp(t)
  const response = await post('/api/auth/signup', signUpBody('alice'), { 'x-access-token': 'garbage' })
  t.equal(response.status, 200)
})

test('of 20 concurrent sign-ups with one username, one creates a user and 19 are rejected', async t => {
  const { post, sql } = await shareApp(t)
  const responses = await Promise.all(Array.from({ length: 20 }, async (_, i) =>
    await post('/api/auth/signup', { ...signUpBody('alice'), email: `alice${i}@example.com` })))
  t.equal(responses.filter(response => response.status === 200).length, 1)
  const rejected = responses.filter(response => response.status !== 200)
  t.equal(rejected.length, 19)
  for (const response of rejected) t.strictSame([response.status, response.body], [400, usernameTaken])
  t.strictSame(await sql('SELECT count(*)::int AS users, (SELECT count(*)::int FROM user_roles) AS roles FROM users'),
    [{ users: 1, roles: 1 }])
})

test('of 20 concurrent sign-ups with one e-mail address, one creates a user', async t => {
  const { post } = await shareApp(t)
  const responses = await Promise.all(Array.from({ length: 20 }, async (_, i) =>
    await post('/api/auth/signup', { ...signUpBody(`alice${i}`), email: 'alice@example.com' })))
  t.equal(responses.filter(response => response.status === 200).length, 1)
  for (const response of responses.filter(response => response.status !== 200)) t.strictSame(response.body, emailTaken)
})

test('a password keeps its spaces and all of its characters', async t => {
  const { post } = await shareApp(t)
  const password = `  ${'pässwörd 🔑'.repeat(10)}  `
  await post('/api/auth/signup', { ...signUpBody('alice'), password })
  t.equal((await post('/api/auth/signin', { username: 'alice', password })).status, 200)
  t.equal((await post('/api/auth/signin', { username: 'alice', password: password.trim() })).status, 401)
  t.equal((await post('/api/auth/signin', { username: 'alice', password: password.slice(0, -4) })).status, 401)
})

test('a password has 8 to 256 characters', async t => {
  const { post } = await shareApp(t)
  for (const [length, status] of [[256, 200], [8, 200], [257, 400], [7, 400]] as const) {
    const response = await post('/api/auth/signup', { ...signUpBody(`user${length}`), password: '🔑'.repeat(length) })
    t.equal(response.status, status, `${length} characters`)
    if (status === 400) t.strictSame(response.body, { message: 'password must be 8 to 256 characters', code: 'VALIDATION_FAILED' })
  }
})

test('a form is accepted as JSON is', async t => {
  const { app, signIn } = await shareApp(t, { SIGNUP_ROLES: ['user', 'moderator'] })
  const response = await app.inject({
    method: 'POST',
    url: '/API/Auth/SignUp/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'username=alice&email=alice%40example.com&password=correct+horse&roles=moderator'
  })
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), registered)
  t.match(await signIn('alice'), { roles: ['ROLE_MODERATOR'] })
})

test('the error for a missing field names it', async t => {
  const { post } = await shareApp(t)
  for (const field of ['username', 'email', 'password']) {
    const response = await post('/api/auth/signup', { ...signUpBody('alice'), [field]: undefined })
    t.equal(response.status, 400)
    t.strictSame(response.body, { message: `${field} is required`, code: 'VALIDATION_FAILED' })
  }
})

test('if the database becomes unavailable before the insert, no user is created', async t => {
  const { app, post, sql } = await shareApp(t)
  const query = app.db.query
  t.intercept(app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      if (statement.name === 'insert_user') throw new ApiError('DATABASE_UNAVAILABLE')
      return await query(statement)
    }
  })
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 503)
  t.equal(response.headers['retry-after'], '1')
  t.strictSame(response.body, { message: 'The database is unavailable. Please try again.', code: 'DATABASE_UNAVAILABLE' })
  t.strictSame(await sql('SELECT id FROM users'), [])
})

test('the token of an admin who has signed out may not assign roles', async t => {
  const service = await shareApp(t)
  await service.signUp('ada', ['admin'])
  const { accessToken, refreshToken } = await service.signIn('ada')
  await service.post('/api/auth/signout', { refreshToken })
  const response = await service.post('/api/auth/signup', { ...signUpBody('eve'), roles: ['admin'] }, { 'x-access-token': accessToken })
  t.equal(response.status, 403)
  t.match(response.body, { code: 'ROLE_NOT_OPEN' })
})

test('an admin\'s token that cannot be verified is a 503, not a denial', async t => {
  const service = await shareApp(t)
  await service.signUp('ada', ['admin'])
  const { accessToken } = await service.signIn('ada')
  t.intercept(service.app.db, 'query', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  const response = await service.post('/api/auth/signup', { ...signUpBody('eve'), roles: ['admin'] }, { 'x-access-token': accessToken })
  t.equal(response.status, 503)
  t.equal(response.headers['retry-after'], '1')
})
