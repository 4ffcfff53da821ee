import pg from 'pg'
import { test } from 'tap'
import { startApp, type TestApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

/** Inserts sessions of user 1. @param hours until they expire; negative for expired ones */
const addSessions = async (service: TestApp, count: number, hours: number) => await service.sql(
  `INSERT INTO refresh_tokens (user_id, id, created_at, expires_at, ip)
    SELECT 1, gen_random_uuid(), now() - interval '100 h', now() + make_interval(hours => $2), '127.0.0.1'
    FROM generate_series(1, $1)`,
  [count, hours])

const countSessions = async (service: TestApp) => (await service.sql('SELECT FROM refresh_tokens')).length

test('all expired sessions are purged, in batches, and live ones are kept', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await addSessions(service, 1200, -1)
  await addSessions(service, 3, 1)
  t.equal(await service.app.purge(), 1200)
  t.equal(await countSessions(service), 3)
})

test('expired counters are purged', async t => {
  const service = await shareApp(t)
  await service.sql('INSERT INTO rate_limits VALUES (\'old\', 1, 1), (\'new\', 1, 9999999999999), (\'lasting\', 1, NULL)')
  t.equal(await service.app.purge(), 1)
  t.strictSame(await service.sql('SELECT key FROM rate_limits ORDER BY key'), [{ key: 'lasting' }, { key: 'new' }])
})

test('a counter that is taken back to 0 is deleted', async t => {
  const service = await shareApp(t)
  const counter = service.app.createCounter({ name: 'tests', duration: 60 })
  await counter.add('a', 2)
  await counter.add('a', -1)
  t.strictSame(await service.sql('SELECT key, points FROM rate_limits'), [{ key: 'tests:a', points: 1 }])
  await counter.add('a', -1)
  t.strictSame(await service.sql('SELECT key FROM rate_limits'), [])
})

test('expired challenges are purged', async t => {
  const service = await shareApp(t)
  await service.sql(`INSERT INTO challenges (hash, type, expires_at) SELECT repeat(left(name, 1), 43), 'passkey-sign-in',
    now() + make_interval(secs => seconds) FROM (VALUES ('a', -1), ('b', 0), ('c', 60)) AS given (name, seconds)`)
  t.equal(await service.app.purge(), 2)
  t.strictSame(await service.sql('SELECT left(hash, 1) AS name FROM challenges'), [{ name: 'c' }])
})

test('networks are purged 30 days after the last sign-in from them', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await service.sql(`INSERT INTO known_networks (user_id, network, last_seen_at) VALUES
    (1, 'old', now() - interval '31 days'), (1, 'new', now() - interval '29 days')`)
  t.equal(await service.app.purge(), 1)
  t.strictSame(await service.sql('SELECT network FROM known_networks'), [{ network: 'new' }])
})

for (const [AUDIT_RETENTION, kept] of [[0, 4], [120, 3], [1, 2]] as const) {
  test(`with AUDIT_RETENTION=${AUDIT_RETENTION}, ${kept} of four audit events are kept`, async t => {
    const service = await shareApp(t, { AUDIT_RETENTION })
    await service.sql(`INSERT INTO audit_events (event, user_id, created_at)
      SELECT 'user_created', 1, now() - make_interval(days => days) FROM unnest(ARRAY[0, 89, 91, 121]) AS days`)
    t.equal(await service.app.purge(), 4 - kept)
    t.equal((await service.sql('SELECT FROM audit_events')).length, kept)
  })
}

test('one replica purges at a time', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await addSessions(service, 5, -1)
  const client = new pg.Client({ connectionString: service.url })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query('SELECT pg_advisory_lock(x\'686f7573\'::bigint)')
  t.equal(await service.app.purge(), 0, 'another replica has the lock')
  await client.query('SELECT pg_advisory_unlock(x\'686f7573\'::bigint)')
  t.equal(await service.app.purge(), 5)
})

test('a session that a transaction has locked is left to the next run', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  await addSessions(service, 2, -1)
  const client = new pg.Client({ connectionString: service.url })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query('BEGIN')
  await client.query('SELECT FROM refresh_tokens ORDER BY id LIMIT 1 FOR UPDATE')
  t.equal(await service.app.purge(), 1)
  await client.query('ROLLBACK')
  t.equal(await service.app.purge(), 1)
})

test('it runs at its interval, and continues after an error of the database', async t => {
  const service = await startApp(t, { HOUSEKEEPING_INTERVAL: 1 })
  await service.signUp('alice')
  await service.sql('ALTER TABLE refresh_tokens RENAME TO elsewhere')
  await until('a failed run', () => service.logs.some(line => line.msg === 'purge failed'))
  await service.sql('ALTER TABLE elsewhere RENAME TO refresh_tokens')
  await addSessions(service, 2, -1)
  await until('the purge', async () => await countSessions(service) === 0)
  const line = await until('its log line', () => service.logs.find(line => line.msg === 'purged expired rows'))
  t.match(line, { level: 20, rows: 2 })
})

test('an interval of 0 disables it', async t => {
  const service = await startApp(t, { HOUSEKEEPING_INTERVAL: 0 })
  await service.signUp('alice')
  await addSessions(service, 1, -1)
  await service.app.close()
  t.equal(await countSessions(service), 1)
})

test('the token of a purged session is reported as expired', async t => {
  const service = await startApp(t, { REFRESH_TOKEN_TTL: 1 })
  await service.signUp('alice')
  const { refreshToken } = await service.signIn('alice')
  await until('the end of the session', async () => await service.app.purge() === 1)
  const response = await service.post('/api/auth/refreshtoken', { refreshToken })
  t.equal(response.status, 403)
  t.strictSame(response.body, {
    message: 'Refresh token was expired. Please make a new signin request',
    code: 'REFRESH_TOKEN_EXPIRED'
  })
})

test('a sign-in beyond MAX_SESSIONS_PER_USER ends the oldest session', async t => {
  const service = await startApp(t, { MAX_SESSIONS_PER_USER: 3 })
  await service.signUp('alice')
  await service.signUp('bob')
  const bob = await service.signIn('bob')
  const signedIn = []
  for (let i = 0; i < 5; i++) signedIn.push(await service.signIn('alice'))
  const statuses = []
  for (const { accessToken } of [...signedIn, bob]) {
    statuses.push((await service.as(accessToken, 'GET', '/api/test/user')).status)
  }
  t.strictSame(statuses, [401, 401, 200, 200, 200, 200])
})
