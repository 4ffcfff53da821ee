import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'tap'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { send, signIn, signUp } from '../support/http-client.ts'
import { CHEAP, runCommand, runServer } from '../support/process.ts'
import { SECRET_EXPECTED } from '../support/settings.ts'

test('the service does not start with invalid settings', async t => {
  const cwd = await createFolder(t)

  await t.test('all of them are reported together, and none of their values', async t => {
    const env = { PORT: 'many', DATABASE_URL: 'mysql://me:db-secret@db/x', JWT_SECRET: 'jwt-secret', REFRESH_ROTATION: 'on' }
    t.strictSame(await runCommand(t, { cwd, env }), {
      code: 1,
      stdout: '',
      stderr: 'Invalid configuration:\n' +
        '  - PORT must be a whole number from 0 to 65535\n' +
        '  - DATABASE_URL must be a PostgreSQL URL such as postgres://user:password@host:5432/database\n' +
        `  - JWT_SECRET must be ${SECRET_EXPECTED}\n` +
        '  - REFRESH_ROTATION must be one of lenient, strict, off\n'
    })
    t.strictSame(await readdir(cwd), [])
  })

  await t.test('an empty DATABASE_URL does not open sign-up as admin to the network', async t => {
    const deployed = { ...CHEAP, HOST: '0.0.0.0', DATABASE_URL: '', JWT_SECRET: SECRET }
    t.strictSame(await runCommand(t, { cwd, env: deployed }), {
      code: 1,
      stdout: '',
      stderr: 'Invalid configuration:\n' +
        '  - DATABASE_URL must be set; for development mode, unset JWT_SECRET\n' +
        '  - HOST must be a loopback address in development mode, in which anybody may sign up as admin; set ' +
        'DATABASE_URL, HOST=127.0.0.1 or SIGNUP_ROLES=user\n'
    })
    const admin = ['create-admin', '--username', 'root', '--email', 'root@example.com']
    t.match(await runCommand(t, { cwd, env: { NODE_ENV: 'production' }, args: admin, input: 'correct horse\n' }),
      { code: 1, stdout: '', stderr: /^Invalid configuration:\n {2}- DATABASE_URL must be set; / })
    t.strictSame(await readdir(cwd), [], 'nor is a database created')
  })

  await t.test('a .env that cannot be read is an error', async t => {
    const folder = await createFolder(t)
    await mkdir(join(folder, '.env'))
    const { code, stdout, stderr } = await runCommand(t, { cwd: folder })
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, '.env')
    t.strictSame(await readdir(folder), ['.env'])
  })
})

test('a port in use ends it with the setting to change, and without a stack', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const PORT = String((other.address() as AddressInfo).port)
  const env = { ...CHEAP, PORT, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  const cwd = await createFolder(t)
  const message = `Port ${PORT} is in use. Set PORT to another port.\n`
  t.match(await runCommand(t, { cwd, env }), { code: 1, stderr: new RegExp(`^${message}$`) })
  await t.test('also with workers, and only once', async t => {
    t.match(await runCommand(t, { cwd, env: { ...env, WORKERS: '2' } }),
      { code: 1, stderr: new RegExp(`^${message}The first worker did not start\\.\n$`) })
  })
})

test('an address that this machine does not have ends it with the setting to change', async t => {
  const env = { ...CHEAP, HOST: '192.0.2.1', DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  t.match(await runCommand(t, { cwd: await createFolder(t), env }), {
    code: 1, stderr: /^192\.0\.2\.1 is not an address of this machine\. Set HOST to one, or to 0\.0\.0\.0 for all of them\.\n$/
  })
})

test('an address that cannot be listened on ends it with the error of the system', async t => {
  // Link-local, so it would need the name of an interface.
  const env = { ...CHEAP, HOST: 'fe80::1', DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  t.match(await runCommand(t, { cwd: await createFolder(t), env }), { code: 1, stderr: /^listen EINVAL: .*fe80::1.*\n$/ })
})

test('settings come from a .env in the working directory, and the environment overrides it', async t => {
  const cwd = await createFolder(t)
  await writeFile(join(cwd, '.env'), [
    '# a comment', `DATABASE_URL=${await createDatabase(t)}`, `JWT_SECRET="${SECRET}"`, 'PORT=99999', 'HOST=127.0.0.1',
    'SIGNUP_ROLE=admin', 'CORS_ORIGIN=*', 'SIGNUP_ROLES=user,admin'
  ].join('\n'))
  t.strictSame(await runCommand(t, { cwd }),
    { code: 1, stdout: '', stderr: 'Invalid configuration:\n  - PORT must be a whole number from 0 to 65535\n' })

  const server = runServer(t, { cwd, env: { PORT: '0', RATE_LIMIT_SIGNIM: '1', XDG_DATA_DIR: '/x' } })
  t.equal((await send(await server.address())).status, 200)
  t.strictSame(await readdir(cwd), ['.env'], 'it does not run in development mode')
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.strictSame(server.warnings().sort(), [
    'CORS_ORIGIN=* lets the pages of every origin call the service. Set it to the origins of your pages.',
    'RATE_LIMIT_SIGNIM is not a setting. Did you mean RATE_LIMIT_SIGNIN?',
    'SIGNUP_ROLE is not a setting. Did you mean SIGNUP_ROLES?',
    'SIGNUP_ROLES lets anybody sign up as admin. Leave it unset, and assign roles as an admin.'
  ], 'misspelt and risky settings of either are the only warnings')
  t.match(server.logs().at(-1), { level: 30, signal: 'SIGTERM', msg: 'Stopping' })
})

test('five that start at once on an empty database all come up, and one of them migrates it', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t, 'template1')
  const env = { ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET, DATABASE_POOL_MAX: '2' }
  const servers = Array.from({ length: 5 }, () => runServer(t, { cwd, env }))
  const addresses = await Promise.all(servers.map(async server => await server.address()))
  t.equal(new Set(addresses).size, 5)
  const migrated = servers.flatMap(server => server.logs()).filter(line => line.msg === 'database migrated')
  t.equal(migrated.length, 1)
  const versions = await sql<{ version: string }>(url,
    'SELECT version FROM schemaversion WHERE version > 0 ORDER BY version')
  t.equal(new Set(versions.map(row => row.version)).size, versions.length)
  t.match(migrated, [{ applied: { length: versions.length } }])

  t.equal((await signUp(String(addresses[0]), 'ann')).status, 200)
  for (const address of addresses) t.equal((await signIn(address, 'ann')).status, 200)
  for (const server of servers) server.child.kill('SIGTERM')
  t.strictSame(await Promise.all(servers.map(async server => await server.ended)), [0, 0, 0, 0, 0])
})
