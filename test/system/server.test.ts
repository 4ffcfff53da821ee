import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'tap'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const CHEAP = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1' }
const PLAYGROUND = { ...CHEAP, PORT: '0', HOST: '127.0.0.1' }
const ADMIN = ['create-admin', '--username', 'ann', '--email', 'ann@example.com']

async function post (url: string, payload: unknown) {
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(payload) })
  return { status: reply.status, body: await reply.json() }
}

const signIn = async (address: string, username: string, password = 'correct horse') =>
  await post(`${address}/api/auth/signin`, { username, password })

const signUp = async (address: string, username: string, roles: string[]) =>
  await post(`${address}/api/auth/signup`, { username, email: `${username}@example.com`, password: 'correct horse', roles })

test('without settings it is a playground', async t => {
  const cwd = await createFolder(t)
  const folder = join(cwd, '.gatehouse')
  const playground = () => runServer(t, { cwd, env: PLAYGROUND })

  await t.test('it answers, and its log warns once that it is open to all', async t => {
    const server = playground()
    const address = await server.address()
    const reply = await fetch(address)
    t.equal(reply.status, 200)
    t.strictSame(await reply.json(), { message: 'Welcome to gatehouse.' })
    t.strictSame(await signUp(address, 'ann', ['admin']), { status: 200, body: { message: 'User was registered successfully!' } })
    t.strictSame(server.logs().filter(line => Number(line['level']) >= 40).map(line => line.msg), [
      'This is a playground: anybody may sign up as user, moderator, admin, and the data is in .gatehouse. ' +
      'Set DATABASE_URL and JWT_SECRET to run it as a service.'
    ])

    await t.test('a second one is told who uses the folder', async t => {
      const second = playground()
      t.equal(await second.ended, 1)
      t.equal(second.stderr(), `Process ${server.child.pid} uses ${folder}. Stop it, or set DATA_DIR to another folder.\n`)
      t.equal((await fetch(address)).status, 200)
    })

    await t.test('create-admin works beside it', async t => {
      const tool = runServer(t, {
        cwd,
        env: PLAYGROUND,
        args: ['create-admin', '--username', 'root', '--email', 'root@example.com'],
        input: 'correct horse\n'
      })
      t.equal(await tool.ended, 0)
      t.equal(tool.stdout(), 'User was registered successfully!\n')
      t.equal(tool.stderr(), '')
      const { status, body } = await signIn(address, 'root')
      t.equal(status, 200)
      t.match(body, { username: 'root', roles: ['ROLE_ADMIN'] })
    })

    await t.test('SIGTERM stops it and its PostgreSQL', async t => {
      server.child.kill('SIGTERM')
      t.equal(await server.ended, 0)
      t.equal(server.stderr(), '')
      t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
      t.notOk((await readdir(join(folder, 'postgres'))).includes('postmaster.pid'))
    })
  })

  await t.test('killed, it leaves a PostgreSQL that the next one takes over with its users and tokens', async t => {
    const killed = playground()
    const body = Object((await signIn(await killed.address(), 'ann')).body)
    killed.child.kill('SIGKILL')
    t.equal(await killed.ended, 'SIGKILL')
    t.ok((await readdir(join(folder, 'postgres'))).includes('postmaster.pid'))

    const next = playground()
    const address = await next.address()
    t.equal((await signIn(address, 'ann')).status, 200)
    const me = await fetch(`${address}/api/users/me`, { headers: { 'x-access-token': body.accessToken } })
    t.match(await me.json(), { username: 'ann' })
    t.equal((await post(`${address}/api/auth/refreshtoken`, { refreshToken: body.refreshToken })).status, 200)

    next.child.kill('SIGINT')
    t.equal(await next.ended, 0)
    t.notOk((await readdir(join(folder, 'postgres'))).includes('postmaster.pid'))
  })

  await t.test('a signal while its PostgreSQL starts stops that as well', async t => {
    const server = playground()
    await until('PostgreSQL to be starting', async () =>
      await readFile(join(folder, 'owner.pid'), 'utf8').catch(() => undefined) === String(server.child.pid))
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
    t.notOk((await readdir(join(folder, 'postgres'))).includes('postmaster.pid'))
  })

  await t.test('create-admin works without it, and leaves nothing running', async t => {
    const tool = runServer(t, { cwd, env: PLAYGROUND, args: ADMIN, input: 'correct horse' })
    t.equal(await tool.ended, 1)
    t.equal(tool.stderr(), 'Failed! Username is already in use!\n')
    t.equal(tool.stdout(), '')
    t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
  })
})

test('create-admin makes an admin in the database of the settings, or says why not', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t)
  const run = async (args: string[], input: string) => {
    const tool = runServer(t, { cwd, env: { ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET }, args, input })
    return { code: await tool.ended, stdout: tool.stdout(), stderr: tool.stderr() }
  }
  t.strictSame(await run(ADMIN, 'short\n'), { code: 1, stdout: '', stderr: 'password must be 8 to 256 characters\n' })
  t.strictSame(await run(ADMIN.slice(0, 3), 'correct horse\n'),
    { code: 1, stdout: '', stderr: 'Say who: npm run create-admin -- --username NAME --email ADDRESS\n' })
  const withPassword = await run([...ADMIN, '--password', 'correct horse'], '')
  t.equal(withPassword.code, 1, 'no password as an argument: others can read it')
  t.match(withPassword.stderr, 'Unknown option \'--password\'')
  t.strictSame(await sql(url, 'SELECT FROM users'), [])

  t.strictSame(await run(ADMIN, 'correct horse\n'), { code: 0, stdout: 'User was registered successfully!\n', stderr: '' })
  t.strictSame(await sql(url, 'SELECT username, email, role_id FROM users JOIN user_roles ON user_id = id'),
    [{ username: 'ann', email: 'ann@example.com', role_id: 3 }])
  t.strictSame(await readdir(cwd), [], 'with a database of one\'s own there is no playground')
})

test('it does not start with what it does not understand', async t => {
  const cwd = await createFolder(t)

  await t.test('bad settings are all reported at once, and no value of theirs', async t => {
    const env = { PORT: 'many', DATABASE_URL: 'mysql://me:db-secret@db/x', JWT_SECRET: 'jwt-secret', REFRESH_ROTATION: 'on' }
    const server = runServer(t, { cwd, env })
    t.equal(await server.ended, 1)
    t.equal(server.stdout(), '')
    t.equal(server.stderr(), 'The settings are not right:\n' +
      '  - PORT must be a whole number from 0 to 65535\n' +
      '  - DATABASE_URL must be a PostgreSQL URL such as postgres://user:password@host:5432/database\n' +
      '  - JWT_SECRET must be at least 32 bytes; make one with: openssl rand -base64 48\n' +
      '  - REFRESH_ROTATION must be one of lenient, strict, off\n')
  })

  await t.test('an unknown command names the known ones', async t => {
    const server = runServer(t, { cwd, args: ['create-user'] })
    t.equal(await server.ended, 1)
    t.equal(server.stderr(), 'There is no command "create-user": leave it out to start the service, or say create-admin or keys.\n')
    t.strictSame(await readdir(cwd), [])
  })

  await t.test('a .env that cannot be read is an error', async t => {
    const folder = await createFolder(t)
    await mkdir(join(folder, '.env'))
    const server = runServer(t, { cwd: folder })
    t.equal(await server.ended, 1)
    t.match(server.stderr(), '.env')
    t.strictSame(await readdir(folder), ['.env'])
  })
})

test('the keys of JWT_KEYS_FILE', async t => {
  const cwd = await createFolder(t)
  const run = async (...args: string[]) => {
    const tool = runServer(t, { cwd, args: ['keys', ...args] })
    return { code: await tool.ended, stdout: tool.stdout(), stderr: tool.stderr() }
  }

  await t.test('are made by a command that needs no settings', async t => {
    const { code, stdout, stderr } = await run('new', '--file', 'keys.json')
    t.strictSame({ code, stderr }, { code: 0, stderr: '' })
    t.match(stdout, /^signs {5}EdDSA {2}[\w-]{43}\n$/)
    t.strictSame(await run('list', '--file', 'keys.json'), { code, stdout, stderr })
    t.strictSame(await readdir(cwd), ['keys.json'])
    t.match(await run('neu'), { code: 1, stdout: '', stderr: /^Say what to do with which file:\n/ })
  })

  const env = { ...PLAYGROUND, DATABASE_URL: await createDatabase(t), REFRESH_SECRET: SECRET, JWT_KEYS_FILE: 'keys.json' }

  await t.test('sign instead of JWT_SECRET, and are read again at SIGHUP', async t => {
    const server = runServer(t, { cwd, env })
    const address = await server.address()
    const reads = () => server.logs().filter(line => line.msg === 'read the keys of keys.json: the first signs')
    await signUp(address, 'ann', ['user'])
    const { accessToken } = Object((await signIn(address, 'ann')).body)
    t.strictSame(reads().map(line => line['kids']), [[JSON.parse(Buffer.from(accessToken.split('.')[0], 'base64url').toString()).kid]])
    await run('new', '--file', 'keys.json', '--alg', 'RS256')
    server.child.kill('SIGHUP')
    await until('the keys to be read again', () => reads().length === 2)
    const { keys } = Object(await (await fetch(`${address}/.well-known/jwks.json`)).json())
    t.strictSame(keys.map((key: { alg: string }) => key.alg), ['EdDSA', 'RS256'])
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    t.equal(server.stderr(), '')
  })

  await t.test('that are not right stop the start, and are not shown', async t => {
    const file = join(cwd, 'keys.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('"EdDSA"', '"ES256"'))
    const server = runServer(t, { cwd, env })
    t.equal(await server.ended, 1)
    t.equal(server.stderr(), 'The keys in keys.json are not right:\n  - key 1 says another alg than EdDSA, which it is for\n')
    t.strictSame(JSON.parse(text).keys.filter((key: { d: string }) => server.stdout().includes(key.d)), [])
  })
})

test('SIGHUP ends a service without keys, as a terminal does that is closed', async t => {
  const env = { ...PLAYGROUND, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  const server = runServer(t, { cwd: await createFolder(t), env })
  await server.address()
  server.child.kill('SIGHUP')
  t.equal(await server.ended, 0)
  t.equal(server.stderr(), '')
})

test('a port that is taken ends it with the reason', async t => {
  const taken = createServer()
  await new Promise<void>(resolve => { taken.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { ...PLAYGROUND, PORT: String(port), DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET }
  })
  t.equal(await server.ended, 1)
  t.match(server.stderr(), `listen EADDRINUSE: address already in use 127.0.0.1:${port}`)
})

test('a .env in the working directory is read, and the environment wins over it', async t => {
  const cwd = await createFolder(t)
  await writeFile(join(cwd, '.env'), [
    '# of the test', `DATABASE_URL=${await createDatabase(t)}`, `JWT_SECRET="${SECRET}"`, 'PORT=99999', 'HOST=127.0.0.1'
  ].join('\n'))
  const wrong = runServer(t, { cwd })
  t.equal(await wrong.ended, 1)
  t.equal(wrong.stderr(), 'The settings are not right:\n  - PORT must be a whole number from 0 to 65535\n')

  const server = runServer(t, { cwd, env: { PORT: '0' } })
  t.equal((await fetch(await server.address())).status, 200)
  t.strictSame(await readdir(cwd), ['.env'], 'it is no playground')
  t.strictSame(server.logs().filter(line => Number(line['level']) >= 40), [])
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})

test('a database that is away at start', async t => {
  const cwd = await createFolder(t)
  const start = (url: string, env = {}) => runServer(t, {
    cwd, env: { ...PLAYGROUND, DATABASE_URL: url, JWT_SECRET: SECRET, DATABASE_START_TIMEOUT: '1', DATABASE_CONNECT_TIMEOUT: '1', ...env }
  })

  // A port that refuses, until the test wants otherwise.
  const sockets = new Set<Socket>()
  const silent = createServer(socket => { sockets.add(socket.on('error', () => {})) })
  await new Promise<void>(resolve => { silent.listen(0, '127.0.0.1', resolve) })
  const { port } = silent.address() as AddressInfo
  t.teardown(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  const url = `postgres://gatehouse:db-secret@127.0.0.1:${port}/gatehouse`

  await t.test('that accepts connections but never answers ends the wait in time', async t => {
    const server = start(url)
    const begin = Date.now()
    t.equal(await server.ended, 1)
    t.ok(Date.now() - begin < 15_000)
    t.match(server.stderr(), 'The database did not answer within 1 s (DATABASE_START_TIMEOUT)')
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
  })

  await new Promise<void>(resolve => {
    silent.close(() => resolve())
    for (const socket of sockets) socket.destroy()
  })

  await t.test('is tried again, then the process ends with what to look at', async t => {
    const server = start(url)
    t.equal(await server.ended, 1)
    t.match(server.stderr(), 'The database did not answer within 1 s (DATABASE_START_TIMEOUT): check ' +
      `DATABASE_URL and the server. Last: Error: connect ECONNREFUSED 127.0.0.1:${port}`)
    t.strictSame(server.logs().map(line => line.msg), [100, 200, 400].map(delay =>
      `database not available, next try in ${delay} ms: Error: connect ECONNREFUSED 127.0.0.1:${port}`))
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
  })

  await t.test('but comes is used', async t => {
    const there = new URL(await createDatabase(t))
    const server = start(url, { DATABASE_START_TIMEOUT: '60' })
    await until('the first try', () => server.logs().length > 0)
    // From now on the port leads to a real one; the URL's password is not that one's, which ends the waiting at once.
    const forward = createServer(socket => {
      const to = connect(Number(there.port), '127.0.0.1')
      socket.on('error', () => to.destroy())
      to.on('error', () => socket.destroy())
      socket.pipe(to).pipe(socket)
    })
    await new Promise<void>(resolve => { forward.listen(port, '127.0.0.1', resolve) })
    t.teardown(() => forward.close())
    t.equal(await server.ended, 1)
    t.match(server.stderr(), 'password authentication failed for user "gatehouse"')
  })

  await t.test('or refuses the login ends it at once', async t => {
    const wrong = new URL(await createDatabase(t))
    wrong.password = 'db-secret'
    const server = start(wrong.href, { DATABASE_START_TIMEOUT: '3600' })
    t.equal(await server.ended, 1)
    t.match(server.stderr(), 'password authentication failed for user "postgres"')
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
    t.strictSame(server.logs(), [])
  })
})

test('five that start at once on an empty database all come up, and one of them migrates it', async t => {
  const cwd = await createFolder(t)
  const url = await createDatabase(t, 'template1')
  const env = { ...PLAYGROUND, DATABASE_URL: url, JWT_SECRET: SECRET, DATABASE_POOL_MAX: '2' }
  const servers = Array.from({ length: 5 }, () => runServer(t, { cwd, env }))
  const addresses = await Promise.all(servers.map(async server => await server.address()))
  t.equal(new Set(addresses).size, 5)
  const migrated = servers.flatMap(server => server.logs()).filter(line => line.msg === 'database migrated')
  t.equal(migrated.length, 1)
  const versions = await sql<{ version: string }>(url, 'SELECT version FROM schemaversion WHERE version > 0 ORDER BY version')
  t.equal(new Set(versions.map(row => row.version)).size, versions.length)
  t.strictSame(Object(migrated[0]?.['applied']).length, versions.length)

  t.equal((await signUp(String(addresses[0]), 'ann', ['user'])).status, 200)
  for (const address of addresses) t.equal((await signIn(address, 'ann')).status, 200)
  for (const server of servers) server.child.kill('SIGTERM')
  t.strictSame(await Promise.all(servers.map(async server => await server.ended)), [0, 0, 0, 0, 0])
})
