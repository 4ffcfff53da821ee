import { Type } from '@sinclair/typebox'
import { test } from 'tap'
import { insertUser } from '../../sql/sign-up.ts'
import { statement } from '../../sql/statement.ts'
import { ApiError } from '../../src/errors.ts'
import { createDatabase, type SignedIn, startApp, type TestApp } from '../support/app.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

const unavailable = { message: 'The database is unavailable. Please try again.', code: 'DATABASE_UNAVAILABLE' }

const backend = statement({
  name: 'backend',
  text: 'SELECT pg_backend_pid() AS pid',
  values: () => [],
  row: Type.Object({ pid: Type.Integer() })
})

/** Closes the connections of the service, and none of the files that run beside this one. */
const TERMINATE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE pid <> pg_backend_pid() AND datname = current_database()`

/** Occupies a connection. */
const nap = statement({
  name: 'nap',
  text: 'SELECT pg_sleep($1)::text',
  values: (seconds: number) => [seconds],
  row: Type.Object({})
})

const newUser = (name: string) => ({ username: name, email: `${name}@example.com`, passwordHash: '$argon2id$', roles: [] })
const author = { actorId: null, ip: '127.0.0.1' }

const me = async (service: TestApp, { accessToken }: SignedIn) =>
  await service.get('/api/users/me', { 'x-access-token': accessToken })

test('while the database does not answer, requests get 503 after the timeouts; afterwards they succeed again', async t => {
  const proxy = await openProxy(t, await createDatabase(t))
  const service = await startApp(t, {
    DATABASE_URL: proxy.url, DATABASE_QUERY_TIMEOUT: 1, DATABASE_CONNECT_TIMEOUT: 1, DATABASE_POOL_MAX: 2
  })
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  proxy.freeze()
  const begin = Date.now()
  for (const response of await Promise.all([me(service, alice), me(service, alice), me(service, alice)])) {
    t.strictSame([response.status, response.body], [503, unavailable])
    t.equal(response.headers['retry-after'], '1')
  }
  t.ok(Date.now() - begin < 10_000, 'after 1.5 s; without the timeouts never')
  proxy.thaw()
  await until('a success', async () => (await me(service, alice)).status === 200)
  t.ok(service.logs.some(line => line['code'] === 'DATABASE_UNAVAILABLE' && line['level'] === 40))
})

test('if every connection is in use, a request waits for DATABASE_CONNECT_TIMEOUT and then gets 503', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1, DATABASE_CONNECT_TIMEOUT: 1 })
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  const napping = service.app.db.query(nap(1.5))
  const response = await me(service, alice)
  t.strictSame([response.status, response.body], [503, unavailable])
  await napping
  t.equal((await me(service, alice)).status, 200)
})

test('an error of a statement keeps the connection open', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1 })
  await service.signUp('alice')
  const before = await service.app.db.query(backend())
  const duplicate = insertUser({ ...newUser('ALICE'), email: 'b@example.com' }, author)
  await t.rejects(service.app.db.query(duplicate), { code: '23505', constraint: 'users_username_key' })
  t.strictSame(await service.app.db.query(backend()), before)
})

test('statements are prepared by name, unless DATABASE_PREPARE=off', async t => {
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

test('idle connections that the server closes are replaced', async t => {
  // Without the session cache, no other part of the service uses a connection meanwhile.
  const service = await startApp(t, { SESSION_CACHE: 'off' })
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  await service.sql(TERMINATE)
  await until('the loss', () =>
    service.logs.some(line => line['level'] === 40 && line.msg.startsWith('idle database connection lost: ')))
  t.equal((await me(service, alice)).status, 200)
})

test('a connection that is lost during a statement is DATABASE_UNAVAILABLE', async t => {
  const service = await startApp(t, { DATABASE_POOL_MAX: 1 })
  const napping = t.rejects(service.app.db.query(nap(10)), { code: 'DATABASE_UNAVAILABLE' })
  await until('the nap', async () =>
    (await service.sql(`${TERMINATE} AND query LIKE 'SELECT pg_sleep%'`)).length > 0)
  await napping
  t.equal((await service.app.db.query(backend())).length, 1)
})

test('while the database is read-only, writes get 503 and reads succeed', async t => {
  const url = await createDatabase(t)
  const writable = await startApp(t, { DATABASE_URL: url })
  await writable.signUp('alice')
  const alice = await writable.signIn('alice')
  await writable.sql(`DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
  END $$`)
  await writable.sql(TERMINATE)
  await until('a success', async () => (await me(writable, alice)).status === 200)
  const response = await writable.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })
  t.strictSame([response.status, response.body], [503, unavailable])
})

test('a value that cannot be serialised is a bug, not an unavailable database', async t => {
  const { app } = await startApp(t)
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  const circular = statement({ name: 'circular', text: 'SELECT $1::text', values: () => [circle], row: Type.Object({}) })
  await t.rejects(app.db.query(circular()), TypeError)
})

test('a transaction is committed as a whole, and returns the result of its work', async t => {
  const { app, sql } = await startApp(t)
  const outcome = await app.db.transaction(async transaction => {
    await transaction.query(insertUser(newUser('alice'), author))
    await transaction.query(insertUser(newUser('bob'), author))
    return 'both'
  })
  t.equal(outcome, 'both')
  t.strictSame(await sql('SELECT username FROM users ORDER BY id'), [{ username: 'alice' }, { username: 'bob' }])
})

test('a transaction with a failing statement is rolled back, and its connection stays open', async t => {
  const { app, sql } = await startApp(t, { DATABASE_POOL_MAX: 1 })
  const before = await app.db.query(backend())
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(newUser('alice'), author))
    await transaction.query(insertUser(newUser('ALICE'), author))
  }), { code: '23505' })
  t.strictSame(await sql('SELECT FROM users'), [])
  t.strictSame(await app.db.query(backend()), before)
})

test('a transaction whose work throws another error is rolled back', async t => {
  const { app, sql } = await startApp(t, { DATABASE_POOL_MAX: 1 })
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(newUser('alice'), author))
    throw new ApiError('BUSY')
  }), { code: 'BUSY' })
  t.strictSame(await sql('SELECT FROM users'), [])
  t.equal((await app.db.query(backend())).length, 1)
})

test('a transaction that loses its connection is rolled back, and is DATABASE_UNAVAILABLE', async t => {
  const { app, sql } = await startApp(t)
  await t.rejects(app.db.transaction(async transaction => {
    await transaction.query(insertUser(newUser('alice'), author))
    await sql(`${TERMINATE} AND state = 'idle in transaction'`)
    await transaction.query(backend())
  }), { code: 'DATABASE_UNAVAILABLE' })
  t.strictSame(await sql('SELECT FROM users'), [])
})

/** Makes the first audit events fail as a conflict with another transaction does. A sequence is not rolled back. */
const conflicts = async (service: TestApp, count: number) => await service.sql(`
  CREATE SEQUENCE attempts MINVALUE -100 START 1;
  CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF nextval('attempts') <= ${count} THEN
      RAISE EXCEPTION 'could not serialize access' USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN NEW;
  END
  $$;
  CREATE TRIGGER conflict BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION conflict()`)

test('a statement or transaction that conflicts with another one is tried again, and then gets 503', async t => {
  const service = await startApp(t)
  await service.signUp('ada', ['admin'])
  await service.signUp('bob')
  const { accessToken } = await service.signIn('ada')
  await conflicts(service, 3)
  const change = async () => await service.as(accessToken, 'PUT', '/api/users/2/roles', { roles: ['moderator'] })
  t.equal((await change()).status, 200)
  t.strictSame(await service.sql('SELECT last_value::int AS tried FROM attempts'), [{ tried: 4 }])
  await service.sql('ALTER SEQUENCE attempts RESTART')
  await service.signUp('carl')
  await service.sql('ALTER SEQUENCE attempts RESTART WITH -100')
  const response = await change()
  t.strictSame([response.status, response.body], [503, unavailable])
  t.strictSame(await service.sql('SELECT username FROM users ORDER BY id'),
    ['ada', 'bob', 'carl'].map(username => ({ username })))
})

test('a schema that a role puts before the service\'s redirects no trigger', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const { accessToken } = await service.signIn('alice')
  await service.sql(`CREATE SCHEMA trap; CREATE TABLE trap.refresh_tokens (user_id bigint);
    SET search_path = trap, public; UPDATE public.users SET disabled_at = now()`)
  t.strictSame(await service.sql('SELECT FROM refresh_tokens'), [])
  await until('the notification', async () =>
    (await service.as(accessToken, 'GET', '/api/test/user')).status === 401)
})
