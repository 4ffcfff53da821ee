import { test } from 'tap'
import { readSettings } from '../../../src/config/read-settings.ts'
import { createAdmin, runCreateAdmin } from '../../../src/process/create-admin.ts'
import { collectLogs, configOf, createDatabase, PASSWORD, SECRET, sql, startApp } from '../../support/app.ts'

const ANN = { username: 'ann', email: 'ann@example.com' }
const notAsked = async () => { throw new Error('the password was asked for') }

/** The options of createAdmin, which collect the log. */
const asking = (readPassword: () => Promise<string>) => ({ readPassword, ...collectLogs() })
const enter = (password: string) => asking(async () => password)

test('creates an admin who can sign in, although the role is not open to sign-up', async t => {
  const url = await createDatabase(t)
  const options = enter(PASSWORD)
  const message = await createAdmin(configOf(url, { SIGNUP_ROLES: ['user'] }), ANN, options)
  t.equal(message, 'User was registered successfully!')
  t.match(options.logs.filter(line => 'event' in line),
    [{ level: 30, event: 'user_created', userId: 1, actorId: null, roles: ['admin'] }])
  t.strictSame(await sql(url, `SELECT username, email, name AS role FROM users
    JOIN user_roles ON user_id = users.id JOIN roles ON roles.id = role_id`),
  [{ username: 'ann', email: 'ann@example.com', role: 'admin' }])

  t.strictSame(await sql(url, 'SELECT email_verified_at IS NOT NULL AS verified FROM users'), [{ verified: true }])
  const { post } = await startApp(t, { DATABASE_URL: url })
  const response = await post('/api/auth/signin', { username: 'ann', password: PASSWORD })
  t.equal(response.status, 200)
  t.match(response.body, { username: 'ann', email: 'ann@example.com', roles: ['ROLE_ADMIN'] })
})

test('taken names are rejected before the password is asked for', async t => {
  const url = await createDatabase(t)
  const config = configOf(url)
  await createAdmin(config, ANN, enter(PASSWORD))
  await t.rejects(createAdmin(config, { ...ANN, email: 'bob@example.com' }, asking(notAsked)),
    { message: 'Failed! Username is already in use!' })
  await t.rejects(createAdmin(config, { username: 'bob', email: 'ANN@example.com' }, asking(notAsked)),
    { message: 'Failed! Email is already in use!' })
  t.strictSame(await sql(url, 'SELECT username FROM users'), [{ username: 'ann' }])
})

test('a password that sign-up would reject is rejected with the same message', async t => {
  const url = await createDatabase(t)
  await t.rejects(createAdmin(configOf(url), ANN, enter('short')), { message: 'password must be 8 to 256 characters' })
  await t.rejects(createAdmin(configOf(url), ANN, enter('password1')),
    { message: 'Failed! The password is one of the most common.' })
  t.strictSame(await sql(url, 'SELECT username FROM users'), [])
})

test('migrates an empty database first', async t => {
  const url = await createDatabase(t, 'template1')
  await createAdmin(configOf(url), ANN, enter(PASSWORD))
  t.strictSame(await sql(url, 'SELECT username FROM users'), [{ username: 'ann' }])
})

// A database that nobody may reach: the arguments are checked before it is asked.
const settings = readSettings({ DATABASE_URL: 'postgres://127.0.0.1:1/none', JWT_SECRET: SECRET })
const invocation = (command: string) => `npx gatehouse ${command}`
const run = async (...args: string[]) =>
  await runCreateAdmin(() => settings, args, { invocation, readPassword: notAsked })

test('names that sign-up would reject are rejected before anything is asked for', async t => {
  await t.rejects(run('--username', 'b', '--email', 'bob@example.com'),
    { message: 'username must be 3 to 64 letters, digits, dots, underscores or hyphens' })
  await t.rejects(run('--username', 'bob', '--email', 'bob'),
    { message: 'email must be an e-mail address of at most 254 characters' })
})

test('the usage names the command as it was typed', async t => {
  const usage = 'Usage: npx gatehouse create-admin --username NAME --email ADDRESS\n' +
    'The password is asked for, or read from a pipe.'
  t.equal(await run('--help'), usage)
  for (const args of [[], ['--username', 'ann'], ['--email', 'ann@example.com'], ['--username', '', '--email', 'a@b']]) {
    await t.rejects(run(...args), { message: usage }, args.join(' '))
  }
  await t.rejects(run('--password', 'x'), { message: /'--password'/ }, 'a password is never an argument')
})

test('the whole command reads its arguments and then the password', async t => {
  const url = await createDatabase(t)
  const args = ['--username', 'ann', '--email', 'ann@example.com']
  const message = await runCreateAdmin(() => configOf(url), args, { invocation, readPassword: async () => PASSWORD })
  t.equal(message, 'User was registered successfully!')
})
