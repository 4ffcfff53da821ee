import { readdir } from 'node:fs/promises'
import { test } from 'tap'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runAtTerminal, runCommand } from '../support/process.ts'
import { until } from '../support/wait.ts'

const PASSWORD = 'correct horse'
const ADMIN = ['create-admin', '--username', 'ann', '--email', 'ann@example.com']

test('create-admin creates an admin in the database of the settings, or prints the reason why not', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t)
  const env = { ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET }
  const run = async (args: string[], input: string) => await runCommand(t, { cwd, env, args, input })

  await t.test('a password that the policy rejects', async t => {
    t.strictSame(await run(ADMIN, 'short\n'), { code: 1, stdout: '', stderr: 'password must be 8 to 256 characters\n' })
  })

  await t.test('names that a sign-up would reject', async t => {
    t.strictSame(await run(['create-admin', '--username', 'a b', '--email', 'ann@example.com'], ''), {
      code: 1, stdout: '', stderr: 'username must be 3 to 64 letters, digits, dots, underscores or hyphens\n'
    })
  })

  await t.test('a password as an argument, which other users of the machine could read', async t => {
    const { code, stdout, stderr } = await run([...ADMIN, '--password', PASSWORD], '')
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, /^Unknown option '--password'/)
  })

  t.strictSame(await sql(url, 'SELECT FROM users'), [], 'so far there is no user')
  const { code, stdout, stderr } = await run(ADMIN, `${PASSWORD}\n`)
  t.strictSame([code, stdout], [0, 'User was registered successfully!\n'])
  t.match(stderr, /^\{.*"event":"user_created".*"roles":\["admin"\].*\}\n$/, 'one line of the log')
  t.strictSame(await sql(url, 'SELECT username, email, role_id FROM users JOIN user_roles ON user_id = id'),
    [{ username: 'ann', email: 'ann@example.com', role_id: 3 }])

  await t.test('names that are taken, before it reads the password', async t => {
    t.strictSame(await run(ADMIN, ''), { code: 1, stdout: '', stderr: 'Failed! Username is already in use!\n' })
  })

  t.strictSame(await readdir(cwd), [], 'with DATABASE_URL there is no folder of development mode')
})

test('at a terminal create-admin asks twice for the password, and shows none of it', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t)
  const env = { ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET }
  const start = async () => {
    const terminal = await runAtTerminal(t, { cwd, env, args: ADMIN })
    const answer = async (prompt: string, text: string) => {
      await until(prompt, () => terminal.screen().endsWith(prompt))
      terminal.type(text)
    }
    return { ...terminal, answer }
  }

  await t.test('passwords that differ', async t => {
    const { answer, ended, screen } = await start()
    await answer('Password: ', `${PASSWORD}\r`)
    await answer('Password again: ', `${PASSWORD}!\r`)
    t.equal(await ended, 1)
    t.equal(screen(), 'Password: \nPassword again: \nThe two passwords differ.\n')
  })

  await t.test('Ctrl-C', async t => {
    const { answer, ended, screen } = await start()
    await answer('Password: ', '\x03')
    t.equal(await ended, 1)
    t.equal(screen(), 'Password: \nNo password was entered.\n')
  })

  t.strictSame(await sql(url, 'SELECT FROM users'), [], 'so far there is no user')
  const { answer, ended, screen } = await start()
  await answer('Password: ', `${PASSWORD}\r`)
  await answer('Password again: ', `${PASSWORD}\r`)
  t.equal(await ended, 0)
  t.equal(screen(), 'Password: \nPassword again: \nUser was registered successfully!\n')
  t.strictSame(await sql(url, 'SELECT username FROM users'), [{ username: 'ann' }])
})
