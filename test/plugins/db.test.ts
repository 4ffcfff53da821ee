import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Type } from '@sinclair/typebox'
import { test, type Test } from 'tap'
import { statement } from '../../sql/statement.ts'
import { insertUser } from '../../sql/sign-up.ts'
import { createDatabase, type SignedIn, startApp } from '../support/app.ts'
import { ApiError } from '../../src/errors.ts'
import { until } from '../support/wait.ts'

const unavailable = { message: 'The database is not available. Please try again.', code: 'DATABASE_UNAVAILABLE' }

const backend = statement({ name: 'backend', text: 'SELECT pg_backend_pid() AS pid', values: () => [], row: Type.Object({ pid: Type.Integer() }) })
const nap = statement({ name: 'nap', text: 'SELECT pg_sleep($1)::text', values: (seconds: number) => [seconds], row: Type.Object({}) })

/** A port that leads to a database, until it goes silent: nothing refused, nothing answered. */
async function blackHole (t: Test, url: string) {
  const target = new URL(url)
  const { hostname, port } = target
  let silent = false
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    const to = connect(Number(port), hostname)
    for (const [from, into] of [[socket, to], [to, socket]] as const) {
      sockets.add(from)
      from.on('data', chunk => { if (!silent) into.write(chunk) })
      from.on('error', () => {})
      from.on('close', () => into.destroy())
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  target.port = String((server.address() as AddressInfo).port)
  return { url: target.href, silence: (on: boolean) => { silent = on } }
}

const me = async (service: Awaited<ReturnType<typeof startApp>>, { accessToken }: SignedIn) =>
  await service.get('/api/users/me', { 'x-access-token': accessToken })

test('a database that goes silent is a 503 within the query timeout, and is used again when it speaks', async t => {
  const hole = await blackHole(t, await createDatabase(t))
  const service = await startApp(t, { DATABASE_URL: hole.url, DATABASE_QUERY_TIMEOUT: 1, DATABASE_CONNECT_TIMEOUT: 1, DATABASE_POOL_MAX: 2 })
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  hole.silence(true)
  const begin = Date.now()
  for (const response of await Promise.all([me(service, alice), me(service, alice), me(service, alice)])) {
    t.strictSame([response.status, response.body], [503, unavailable])
    t.equal(response.headers['retry-after'], '1')
  }
  t.ok(Date.now() - begin < 3000)
  hole.silence(false)
  await until('an answer', async () => (await me(service, alice)).status === 200, 5000)
  t.ok(service.logs.some(line => line['code'] === 'DATABASE_UNAVAILABLE' && line['level'] === 40))
})

test('a request that finds every connection taken waits for DATABASE_CONNECT_TIMEOUT, and none is lost', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1, DATABASE_CONNECT_TIMEOUT: 1 })
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  const napping = service.app.db.query(nap(1.5))
  const response = await me(service, alice)
  t.strictSame([response.status, response.body], [503, unavailable])
  await napping
  t.equal((await me(service, alice)).status, 200)
})

test('a statement\'s own fault keeps its connection', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1 })
  await service.signUp('alice')
  const before = await service.app.db.query(backend())
  const twin = insertUser({ username: 'ALICE', email: 'b@example.com', passwordHash: '$argon2id$', roles: [] }, { actorId: null, ip: '127.0.0.1' })
  await t.rejects(service.app.db.query(twin), { code: '23505', constraint: 'users_username_key' })
  t.strictSame(await service.app.db.query(backend()), before)
})

test('statements are prepared by name, or not at all with DATABASE_PREPARE=off', async t => {
  const prepared = statement({
    name: 'prepared',
    text: 'SELECT name FROM pg_prepared_statements',
    values: () => [],
    row: Type.Object({ name: Type.String() })
  })
  const url = await createDatabase(t)
  for (const [DATABASE_PREPARE, names] of [['on', [{ name: 'prepared' }]], ['off', []]] as const) {
    const { app } = await startApp(t, { DATABASE_URL: url, DATABASE_POOL_MAX: 1, DATABASE_PREPARE })
    await app.db.query(prepared())
    t.strictSame((await app.db.query(prepared())).filter(row => row.name === 'prepared'), names)
  }
})

test('idle connections that the server ends are replaced', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  await service.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()')
  await until('an answer', async () => (await me(service, alice)).status === 200, 5000)
  t.ok(service.logs.some(line => line['level'] === 40 && line.msg.startsWith('idle database connection lost: ')))
})

test('a connection that ends under a statement is a 503', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1 })
  const napping = t.rejects(service.app.db.query(nap(10)), { code: 'DATABASE_UNAVAILABLE' })
  await until('the nap', async () =>
    (await service.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE \'SELECT pg_sleep%\'')).length > 0)
  await napping
  t.equal((await service.app.db.query(backend())).length, 1)
})

test('a database that takes no writes is a 503, and its reads still work', async t => {
  const url = await createDatabase(t)
  const writable = await startApp(t, { DATABASE_URL: url })
  await writable.signUp('alice')
  const alice = await writable.signIn('alice')
  await writable.sql('DO $$ BEGIN EXECUTE format(\'ALTER DATABASE %I SET default_transaction_read_only = on\', current_database()); END $$')
  await writable.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()')
  await until('an answer', async () => (await me(writable, alice)).status === 200, 5000)
  const response = await writable.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })
  t.strictSame([response.status, response.body], [503, unavailable])
})

test('a value that cannot be sent is our own fault', async t => {
  const { app } = await startApp(t)
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const wrong = statement({ name: 'wrong', text: 'SELECT $1::text', values: () => [circle], row: Type.Object({}) })
  await t.rejects(app.db.query(wrong()), TypeError)
})

const credentials = (name: string) => ({ username: name, email: `${name}@example.com`, passwordHash: '$argon2id$', roles: [] })
const nobody = { actorId: null, ip: '127.0.0.1' }

test('a transaction is kept as a whole, and gives back what its work does', async t => {
  const { app, sql } = await startApp(t)
  const outcome = await app.db.transaction(async transaction => {
    await transaction.query(insertUser(credentials('alice'), nobody))
    await transaction.query(insertUser(credentials('bob'), nobody))
    return 'both'
  })
  t.equal(outcome, 'both')
  t.strictSame(await sql('SELECT username FROM users ORDER BY id'), [{ username: 'alice' }, { username: 'bob' }])
})

test('a transaction whose work fails leaves nothing, and its connection stays good', async t => {
  const { app, sql } = await startApp(t, { DATABASE_POOL_MAX: 1 })
  const before = await app.db.query(backend())
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(credentials('alice'), nobody))
    await transaction.query(insertUser(credentials('ALICE'), nobody))
  }), { code: '23505' })
  t.strictSame(await sql('SELECT FROM users'), [])
  t.strictSame(await app.db.query(backend()), before)
})

test('a transaction whose work throws something else leaves nothing either', async t => {
  const { app, sql } = await startApp(t, { DATABASE_POOL_MAX: 1 })
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(credentials('alice'), nobody))
    throw new ApiError('BUSY')
  }), { code: 'BUSY' })
  t.strictSame(await sql('SELECT FROM users'), [])
  t.equal((await app.db.query(backend())).length, 1)
})

test('a transaction whose connection ends is a 503, and leaves nothing', async t => {
  const { app, sql } = await startApp(t)
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(credentials('alice'), nobody))
    await sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = \'idle in transaction\'')
    await transaction.query(backend())
  }), { code: 'DATABASE_UNAVAILABLE' })
  t.strictSame(await sql('SELECT FROM users'), [])
})
