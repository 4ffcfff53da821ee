import { test } from 'tap'
import { createAdmin } from '../../../src/process/create-admin.ts'
import { configOf, createDatabase, sql, startApp } from '../../support/app.ts'

const ANN = { username: 'ann', email: 'ann@example.com', password: 'correct horse' }

test('makes an admin who can sign in, though the role is not open to sign-up', async t => {
  const url = await createDatabase(t)
  t.equal(await createAdmin(configOf(url, { SIGNUP_ROLES: ['user'] }), ANN), 'User was registered successfully!')
  t.strictSame(await sql(url, `SELECT username, email, name AS role FROM users
    JOIN user_roles ON user_id = users.id JOIN roles ON roles.id = role_id`),
  [{ username: 'ann', email: 'ann@example.com', role: 'admin' }])

  const { post } = await startApp(t, { DATABASE_URL: url })
  const response = await post('/api/auth/signin', { username: 'ann', password: 'correct horse' })
  t.equal(response.status, 200)
  t.match(response.body, { username: 'ann', email: 'ann@example.com', roles: ['ROLE_ADMIN'] })
})

test('refuses what sign-up refuses, in its words, and makes nobody', async t => {
  const url = await createDatabase(t)
  const config = configOf(url)
  await createAdmin(config, ANN)
  const refused = async (admin: Partial<typeof ANN>, message: string) =>
    await t.rejects(createAdmin(config, { ...ANN, ...admin }), { message })
  await refused({}, 'Failed! Username is already in use!')
  await refused({ username: 'bob' }, 'Failed! Email is already in use!')
  await refused({ username: 'b' }, 'username must be 3 to 64 letters, digits, dots, underscores or hyphens')
  await refused({ email: 'bob' }, 'email must be an e-mail address of at most 254 characters')
  await refused({ password: 'short' }, 'password must be 8 to 256 characters')
  t.strictSame(await sql(url, 'SELECT username FROM users'), [{ username: 'ann' }])
})

test('brings an empty database up to date first', async t => {
  const url = await createDatabase(t, 'template1')
  await createAdmin(configOf(url), ANN)
  t.strictSame(await sql(url, 'SELECT username FROM users'), [{ username: 'ann' }])
})
