import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { readSettings } from '../../src/config/read-settings.ts'
import { toEnvironment } from '../../src/process/workers.ts'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { signUp } from '../support/http-client.ts'
import { CHEAP, childrenOf, runServer, type ServerProcess } from '../support/process.ts'
import { until } from '../support/wait.ts'

const SERVICE = { ...CHEAP, JWT_SECRET: SECRET, WORKERS: '2' }

/** The process ids of the workers that have listened, in the order in which they did. */
const listening = (server: ServerProcess): number[] =>
  [...new Set(server.logs().filter(line => line.msg.startsWith('Server listening')).map(line => Number(line['pid'])))]

const untilListening = async (server: ServerProcess, count: number) =>
  await until(`${count} workers`, () => listening(server).length === count && listening(server))

const replacements = (server: ServerProcess) => server.logs().filter(line => line.msg.startsWith('worker exited'))

test('the environment of workers reads as the settings that it was made from', async t => {
  const given = { SIGNUP_ROLES: 'user,admin', WORKERS: '2', JWT_SECRET_ACCEPTED: `${SECRET}, \n ${SECRET}` }
  const config = { ...readSettings(given), DATABASE_URL: 'postgres://db/x', JWT_SECRET: SECRET }
  t.strictSame(readSettings(toEnvironment(config)), config)
})

test('a worker has one thread more than it computes password hashes at once, and no fewer than libuv\'s default', async t => {
  const threads = (hashes: string) => toEnvironment({
    ...readSettings({ ARGON2_CONCURRENCY: hashes }), DATABASE_URL: 'postgres://db/x', JWT_SECRET: SECRET
  })['UV_THREADPOOL_SIZE']
  t.equal(threads('1'), '4')
  t.equal(threads('3'), '4')
  t.equal(threads('16'), '17')
})

test('two workers share a port', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t, 'template1')
  const server = runServer(t, { cwd, env: { ...SERVICE, DATABASE_URL: url } })
  const address = await server.address()
  const first = await untilListening(server, 2)
  t.notOk(first.includes(Number(server.child.pid)), 'the primary serves no requests')
  t.equal((await fetch(address)).status, 200)

  await t.test('a killed worker is replaced', async t => {
    process.kill(Number(first[0]), 'SIGKILL')
    const [, , third] = await untilListening(server, 3)
    t.match(replacements(server),
      [{ level: 40, pid: first[0], signal: 'SIGKILL', msg: 'worker exited, starting another in 100 ms' }])
    t.equal((await fetch(address)).status, 200)

    process.kill(Number(third), 'SIGKILL')
    await untilListening(server, 4)
    t.match(replacements(server)[1], { pid: third, msg: 'worker exited, starting another in 100 ms' },
      'after the same delay, because it had served')
    t.equal((await fetch(address)).status, 200)
  })

  await t.test('a worker that receives SIGTERM closes, and is replaced', async t => {
    process.kill(Number(first[1]), 'SIGTERM')
    await untilListening(server, 5)
    t.match(replacements(server)[2],
      { pid: first[1], code: 0, signal: null, msg: 'worker exited, starting another in 100 ms' })
  })

  await t.test('SIGTERM to the process group ends all of them, and none is replaced', async t => {
    for (const pid of [...listening(server).slice(-2), Number(server.child.pid)]) process.kill(pid, 'SIGTERM')
    t.equal(await server.ended, 0)
    t.equal(replacements(server).length, 3)
    t.equal(server.stderr(), '')
    t.strictSame(await sql(url,
      'SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'), [])
  })
})

test('a worker that cannot be replaced is tried again, after a delay that grows', async t => {
  const url = await createDatabase(t)
  const env = { ...SERVICE, DATABASE_URL: url, DATABASE_START_TIMEOUT: '0' }
  const server = runServer(t, { cwd: await createFolder(t), env })
  const [first] = await untilListening(server, 2)
  const { href, pathname } = new URL(url)
  await sql(href.replace(pathname, '/postgres'), `ALTER DATABASE ${pathname.slice(1)} ALLOW_CONNECTIONS false`)
  process.kill(Number(first), 'SIGKILL')
  await until('two exits', () => replacements(server).length >= 2)
  t.match(replacements(server)[1], { code: 1, msg: 'worker exited, starting another in 200 ms' })
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0, 'also while a worker starts, or is about to')
})

test('an error that prevents the start of the first worker ends the service', async t => {
  const url = new URL(await createDatabase(t))
  url.password = 'wrong'
  const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, DATABASE_URL: url.href } })
  t.equal(await server.ended, 1)
  t.equal(server.stderr(), 'password authentication failed for user "postgres"\nThe first worker did not start.\n')
})

test('a signal while the first worker starts ends both', async t => {
  const env = { ...SERVICE, DATABASE_URL: await createDatabase(t) }
  const server = runServer(t, { cwd: await createFolder(t), env })
  await until('the worker', async () => (await childrenOf(Number(server.child.pid))).length > 0)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.strictSame(server.stderr(), '')
})

test('a worker that has to be killed makes the end a failure', async t => {
  const env = { ...SERVICE, DATABASE_URL: await createDatabase(t) }
  const server = runServer(t, { cwd: await createFolder(t), env })
  const [first, second] = await untilListening(server, 2)
  process.kill(Number(second), 'SIGSTOP')
  server.child.kill('SIGTERM')
  await until('the end of the other', async () => !(await childrenOf(Number(server.child.pid))).includes(Number(first)))
  t.equal(server.child.exitCode, null, 'the primary waits')
  process.kill(Number(second), 'SIGKILL')
  t.equal(await server.ended, 1)
  t.equal(server.stderr(), 'A worker exited with an error.\n')
})

test('the PostgreSQL of development mode belongs to the primary, and outlives a worker', async t => {
  const { JWT_SECRET, ...development } = SERVICE
  const cwd = await createFolder(t)
  const server = runServer(t, { cwd, env: development })
  const address = await server.address()
  const [first] = await untilListening(server, 2)
  t.equal((await signUp(address, 'ann', ['admin'])).status, 200, 'workers run in development mode as well')
  process.kill(Number(first), 'SIGKILL')
  await untilListening(server, 3)
  t.equal((await signUp(address, 'bob', ['admin'])).status, 200)
  t.equal(server.warnings().filter(line => line.startsWith('Development mode')).length, 1)

  await t.test('and a restart of it is logged once', async t => {
    const pidFile = join(cwd, '.gatehouse', 'postgres', 'postmaster.pid')
    process.kill(Number((await readFile(pidFile, 'utf8')).split('\n')[0]), 'SIGKILL')
    await until('a sign-up', async () => (await signUp(address, 'cid')).status === 200)
    const restarts = () => server.warnings().filter(line => line.startsWith('The embedded PostgreSQL was killed')).length
    await until('its log line', () => restarts() > 0)
    t.equal(restarts(), 1)
  })

  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})
