import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { readSettings } from '../../src/config/read-settings.ts'
import { toEnvironment } from '../../src/process/workers.ts'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { runServer, type ServerProcess } from '../support/process.ts'
import { until } from '../support/wait.ts'

const CHEAP = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1' }
const SERVICE = { ...CHEAP, PORT: '0', HOST: '127.0.0.1', JWT_SECRET: SECRET, WORKERS: '2' }

/** The processes that listen, in the order of their first words. */
const listening = (server: ServerProcess): number[] =>
  [...new Set(server.logs().filter(line => line.msg.startsWith('Server listening')).map(line => Number(line['pid'])))]

/** The child processes of one, as Linux lists them. */
const children = async (pid: number): Promise<string[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean)

const both = async (server: ServerProcess) =>
  await until('two workers', () => listening(server).length === 2 && listening(server))

const replacements = (server: ServerProcess) => server.logs().filter(line => line.msg.startsWith('a worker ended'))

test('the workers\' environment reads as the settings it was made from', async t => {
  const given = { SIGNUP_ROLES: 'user,admin', WORKERS: '2', JWT_SECRET_ACCEPTED: `${SECRET}, \n ${SECRET}` }
  const config = { ...readSettings(given), DATABASE_URL: 'postgres://db/x', JWT_SECRET: SECRET }
  t.strictSame(readSettings(toEnvironment(config)), config)
})

test('a worker has as many threads as it hashes passwords, and one more; never fewer than libuv gives', async t => {
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
  const first = await both(server)
  t.notOk(first.includes(Number(server.child.pid)), 'the primary serves nothing')
  t.equal((await fetch(address)).status, 200)

  await t.test('one that is killed is replaced', async t => {
    process.kill(Number(first[0]), 'SIGKILL')
    const [, , third] = await until('a third', () => listening(server).length === 3 && listening(server))
    t.match(replacements(server), [{ level: 40, pid: first[0], signal: 'SIGKILL', msg: 'a worker ended, the next one starts in 100 ms' }])
    t.equal((await fetch(address)).status, 200)

    process.kill(Number(third), 'SIGKILL')
    await until('a fourth', () => listening(server).length === 4)
    t.match(replacements(server)[1], { pid: third, msg: 'a worker ended, the next one starts in 100 ms' }, 'the same pause: it had served')
    t.equal((await fetch(address)).status, 200)
  })

  await t.test('one that is told to end does so in order, and is replaced', async t => {
    process.kill(Number(first[1]), 'SIGTERM')
    await until('a fifth', () => listening(server).length === 5)
    t.match(replacements(server)[2], { pid: first[1], code: 0, signal: null, msg: 'a worker ended, the next one starts in 100 ms' })
  })

  await t.test('SIGTERM to the whole group ends all of them, none is replaced', async t => {
    for (const pid of [...listening(server).slice(-2), Number(server.child.pid)]) process.kill(pid, 'SIGTERM')
    t.equal(await server.ended, 0)
    t.equal(replacements(server).length, 3)
    t.equal(server.stderr(), '')
    t.strictSame(await sql(url, 'SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()'), [])
  })
})

test('one that ended and cannot start again is tried again, after a pause that grows', async t => {
  const url = await createDatabase(t)
  const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, DATABASE_URL: url, DATABASE_START_TIMEOUT: '0' } })
  await server.address()
  const [first] = await both(server)
  const { href, pathname } = new URL(url)
  await sql(href.replace(pathname, '/postgres'), `ALTER DATABASE ${pathname.slice(1)} ALLOW_CONNECTIONS false`)
  process.kill(Number(first), 'SIGKILL')
  await until('three ends', () => replacements(server).length >= 3)
  t.match(replacements(server)[1], { code: 1, msg: 'a worker ended, the next one starts in 200 ms' })
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0, 'also while one is starting or waited for')
})

test('what keeps the first worker from starting ends the service', async t => {
  const url = new URL(await createDatabase(t))
  url.password = 'wrong'
  const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, DATABASE_URL: url.href } })
  t.equal(await server.ended, 1)
  t.equal(server.stderr(), 'password authentication failed for user "postgres"\nThe first worker did not start.\n')
})

test('a signal while the first worker starts ends both', async t => {
  const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, DATABASE_URL: await createDatabase(t) } })
  await until('the worker', async () => (await children(Number(server.child.pid))).length > 0)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.strictSame(server.stderr(), '')
})

test('a worker that does not end in time is ended by force, and that is no success', async t => {
  const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, DATABASE_URL: await createDatabase(t) } })
  await server.address()
  const [, second] = await both(server)
  process.kill(Number(second), 'SIGSTOP')
  server.child.kill('SIGTERM')
  const kill = setTimeout(() => process.kill(Number(second), 'SIGKILL'), 1000)
  t.equal(await server.ended, 1)
  clearTimeout(kill)
})

test('a playground\'s PostgreSQL is the primary\'s, and outlives a worker', async t => {
  const { JWT_SECRET, ...playground } = SERVICE
  const server = runServer(t, { cwd: await createFolder(t), env: playground })
  const address = await server.address()
  const [first] = await both(server)
  const signUp = async (username: string) => (await fetch(`${address}/api/auth/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, email: `${username}@example.com`, password: 'correct horse', roles: ['admin'] })
  })).status
  t.equal(await signUp('ann'), 200, 'workers know that it is a playground')
  process.kill(Number(first), 'SIGKILL')
  await until('a third', () => listening(server).length === 3)
  t.equal(await signUp('bob'), 200)
  t.equal(server.logs().filter(line => line.msg.startsWith('This is a playground')).length, 1)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})
