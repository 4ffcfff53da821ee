import { test } from 'tap'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runCommand } from '../support/process.ts'

test('migrate applies the migrations to DATABASE_URL, and needs no other setting', async t => {
  const cwd = await createFolder(t)
  const env = { DATABASE_URL: await createDatabase(t, 'template0') }
  const migrate = async () => await runCommand(t, { cwd, env, args: ['migrate'] })
  t.match(await migrate(), { code: 0, stdout: /^Applied: users-and-sessions, invalidation-and-audit, /, stderr: '' })
  t.strictSame(await migrate(), { code: 0, stdout: 'The database is up to date.\n', stderr: '' })
  t.strictSame(await runCommand(t, { cwd, env: {}, args: ['migrate'] }), {
    code: 1, stdout: '', stderr: 'Set DATABASE_URL to the database, with the role that owns its tables.\n'
  })
})

test('sign-out-everybody ends every session, in batches', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t)
  const env = { ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET }
  await sql(url, 'INSERT INTO users (username, email) VALUES (\'ann\', \'ann@example.com\')')
  await sql(url, `INSERT INTO refresh_tokens (user_id, id, expires_at, ip)
    SELECT 1, gen_random_uuid(), now() + interval '1 h', '127.0.0.1' FROM generate_series(1, 1001)`)
  const run = async (...args: string[]) => await runCommand(t, { cwd, env, args: ['sign-out-everybody', ...args] })
  t.match(await run('--now'), { code: 1, stderr: /^Unknown command "sign-out-everybody"/ })
  t.match(await run(),
    { code: 0, stdout: 'Sessions ended: 1001\n', stderr: /^\{.*"event":"authn_token_revoked","sessions":1001.*\}\n$/ })
  t.strictSame(await sql(url, 'SELECT FROM refresh_tokens'), [])
})

test('a role that may not apply the migrations gets the command to run', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t, 'template0')
  await sql(url, 'CREATE ROLE limited LOGIN PASSWORD \'limited\'')
  t.teardown(async () => await sql(await createDatabase(t), 'DROP ROLE limited'))
  const limited = Object.assign(new URL(url), { username: 'limited', password: 'limited' }).href
  const run = await runCommand(t, { cwd, env: { ...CHEAP, DATABASE_URL: limited, JWT_SECRET: SECRET }, args: ['sign-out-everybody'] })
  t.strictSame([run.code, run.stdout], [1, ''])
  t.match(run.stderr, /^The database needs migrations, .* Run `npm run migrate` .* permission denied/)
})
