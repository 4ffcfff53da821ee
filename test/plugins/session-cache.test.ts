import pg from 'pg'
import { type Test, test } from 'tap'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'
import { openProxy } from '../support/proxy.ts'
import { sessionEntry } from '../support/session.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

const admin = async (service: TestApp, token: string) => (await service.get('/api/test/admin', { 'x-access-token': token })).status

/** Signs in an admin, whose session is then cached. */
async function warm (service: TestApp) {
  await service.signUp('ada', ['user', 'admin'])
  const ada = await service.signIn('ada')
  if (await admin(service, ada.accessToken) !== 200) throw new Error('ada is no admin')
  return ada
}

/** The listening connection of the service. */
const LISTENER = `FROM pg_stat_activity
  WHERE application_name = 'gatehouse invalidations' AND datname = current_database()`

/** When each pooled connection of the service ran its last statement. */
const lastStatements = async (service: TestApp) => await service.sql(
  'SELECT pid, query_start FROM pg_stat_activity WHERE application_name = \'gatehouse\' AND datname = current_database() ORDER BY pid')

test('in the steady state an authenticated request needs no query', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  const seen = new Set<number>()
  const before = await until('1000 requests without a statement', async () => {
    const before = await lastStatements(service)
    for (let i = 0; i < 500; i++) {
      seen.add(await admin(service, ada.accessToken))
      seen.add((await service.get('/api/test/user', { authorization: `Bearer ${ada.accessToken}` })).status)
    }
    // A late heartbeat, on a busy machine, makes a request query; then another thousand are sent.
    return JSON.stringify(await lastStatements(service)) === JSON.stringify(before) && before
  })
  t.strictSame([...seen], [200])
  t.ok(before.length > 0)
  await service.get('/api/users/me', { 'x-access-token': ada.accessToken })
  t.strictNotSame(await lastStatements(service), before, 'a statement would have been seen')
})

test('with SESSION_CACHE=off every authenticated request queries, and nothing listens', async t => {
  const service = await startApp(t, { SESSION_CACHE: 'off' })
  const ada = await warm(service)
  let queries = 0
  const query = service.app.db.query
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      queries++
      return await query(statement)
    }
  })
  for (let i = 0; i < 10; i++) t.equal(await admin(service, ada.accessToken), 200)
  t.equal(queries, 10)
  t.strictSame(await service.sql(`SELECT ${LISTENER}`), [])
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  t.equal(await admin(service, ada.accessToken), 403)
})

/** Changes in psql, the notifications they send, and the status that the admin's token gets afterwards. */
const CHANGES: Array<[sql: string, notified: string[], status: number]> = [
  ['DELETE FROM user_roles WHERE user_id = 1 AND role_id = 3', ['1'], 403],
  ['UPDATE user_roles SET role_id = 2 WHERE user_id = 1 AND role_id = 3', ['1'], 403],
  ['UPDATE user_roles SET user_id = 2 WHERE user_id = 1 AND role_id = 3', ['1', '2'], 403],
  ['INSERT INTO user_roles VALUES (2, 2)', ['2'], 200],
  ['DELETE FROM refresh_tokens', ['1', '2'], 401],
  ['UPDATE refresh_tokens SET expires_at = created_at + interval \'1 microsecond\' WHERE user_id = 1', ['1'], 401],
  ['UPDATE users SET disabled_at = now() WHERE id = 1', ['1'], 401],
  ['UPDATE users SET disabled_at = NULL', [], 200],
  ['UPDATE users SET username = \'adele\' WHERE id = 1', ['1'], 200],
  ['UPDATE users SET email = \'adele@example.com\' WHERE id = 1', [], 200],
  ['DELETE FROM users WHERE id = 1', ['1'], 401],
  ['DELETE FROM users', ['1', '2'], 401],
  ['TRUNCATE refresh_tokens', ['*'], 401],
  ['TRUNCATE user_roles', ['*'], 403],
  ['TRUNCATE users CASCADE', ['*'], 401]
]

for (const [text, notified, status] of CHANGES) {
  test(`a change in psql takes effect: ${text}`, async t => {
    const service = await shareApp(t)
    const ada = await warm(service)
    await service.signUp('bob')
    await service.signIn('bob')
    const notifications = await listen(t, service.url)
    await service.sql(text)
    t.strictSame((await notifications()).sort(), notified)
    // The service has a connection of its own, which is notified a moment earlier or later.
    await until(`the status ${status}`, async () => await admin(service, ada.accessToken) === status)
    t.equal(await admin(service, ada.accessToken), status)
  })
}

/** Listens for the notifications of the triggers. @returns a function that returns those since its last call */
async function listen (t: Test, url: string): Promise<() => Promise<string[]>> {
  const client = new pg.Client({ connectionString: url })
  const received: string[] = []
  client.on('notification', ({ payload = '' }) => { received.push(payload) })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query('LISTEN gatehouse_invalidation')
  return async () => {
    // Notifications arrive in the order in which they were sent.
    await client.query('NOTIFY gatehouse_invalidation, \'mark\'')
    await until('the mark', () => received.includes('mark'))
    // The service sends proofs of its own, to see whether notifications arrive.
    return received.splice(0).filter(payload => payload !== 'mark' && !payload.startsWith('proof '))
  }
}

test('sign-up, sign-in, refresh, reauthentication and the purge of expired sessions send no notification', async t => {
  const service = await startApp(t, { SIGNUP_ROLES: ['user', 'admin'] })
  const notifications = await listen(t, service.url)
  await service.post('/api/auth/signup', { username: 'eve', email: 'eve@example.com', password: 'correct horse', roles: ['user', 'admin'] })
  const { accessToken, refreshToken } = await service.signIn('eve')
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 200)
  const payload = { password: 'correct horse' }
  t.equal((await service.as(accessToken, 'POST', '/api/auth/reauthenticate', payload)).status, 200)
  t.strictSame(await notifications(), [])
  await service.sql('UPDATE refresh_tokens SET created_at = now() - interval \'2 h\', expires_at = now() - interval \'1 h\'')
  t.strictSame(await notifications(), ['1'], 'a changed expiry is a notification')
  t.equal(await service.app.purge(), 1)
  t.strictSame(await notifications(), [])
})

test('a change between the query and the caching of its result leaves no stale entry', async t => {
  const service = await startApp(t)
  await service.signUp('ada', ['user', 'admin'])
  const ada = await service.signIn('ada')
  const query = service.app.db.query
  let isFirst = true
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      const rows = await query(statement)
      if (isFirst) {
        isFirst = false
        await service.sql('DELETE FROM user_roles WHERE role_id = 3')
        const [changed] = await service.sql('SELECT now() AS at')
        // A heartbeat after the change proves that the service has received its notification.
        await until('a heartbeat', async () =>
          (await service.sql(`SELECT ${LISTENER} AND query_start > $1`, [changed?.['at']])).length > 0)
      }
      return rows
    }
  })
  t.equal(await admin(service, ada.accessToken), 200, 'queried before the change')
  t.equal(await admin(service, ada.accessToken), 403, 'queried after the change')
})

/** Presents a token every 10 ms, and records when it was accepted. */
function watch (service: TestApp, token: string) {
  const results: Array<{ at: number, status: number }> = []
  const state = { on: true }
  const running = (async () => {
    while (state.on) {
      const at = Date.now()
      results.push({ at, status: await admin(service, token) })
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  })()
  return {
    results,
    /** The number of requests that were sent after a moment and accepted. */
    acceptedAfter: (moment: number) => results.filter(({ at, status }) => status === 200 && at > moment).length,
    sentAfter: (moment: number) => results.filter(({ at }) => at > moment).length,
    async stop () {
      state.on = false
      await running
    }
  }
}

/** Milliseconds: the heartbeat, plus half a second. */
const MAX_STALENESS = 1500

test('if packets are dropped, cached sessions are used for at most the heartbeat plus half a second', async t => {
  const url = await createDatabase(t)
  const proxy = await openProxy(t, url)
  const service = await startApp(t, { DATABASE_URL: url, LISTEN_DATABASE_URL: proxy.url })
  const ada = await warm(service)
  const watched = watch(service, ada.accessToken)
  proxy.freeze()
  await service.sql('DELETE FROM refresh_tokens')
  const limit = Date.now() + MAX_STALENESS
  await until('20 requests after the limit', () => watched.sentAfter(limit) >= 20)
  await watched.stop()
  t.equal(watched.acceptedAfter(limit), 0)

  const again = await service.signIn('ada')
  t.equal(await admin(service, again.accessToken), 200, 'the database is queried')
  proxy.thaw()
  await until('the cache to be used again', async () => {
    await admin(service, again.accessToken)
    const before = await lastStatements(service)
    for (let i = 0; i < 20; i++) await admin(service, again.accessToken)
    return JSON.stringify(await lastStatements(service)) === JSON.stringify(before)
  })
  t.match(service.logs.find(line => line.msg.startsWith('invalidations lost')), { level: 40 })
})

test('if the listening connection is closed, no stale session is used, and the connection is replaced', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  const watched = watch(service, ada.accessToken)
  await service.sql(`SELECT pg_terminate_backend(pid) ${LISTENER}`)
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  const limit = Date.now() + MAX_STALENESS
  await until('a new connection', async () => (await service.sql(`SELECT ${LISTENER}`)).length > 0)
  await until('20 requests after the limit', () => watched.sentAfter(limit) >= 20)
  await watched.stop()
  t.equal(watched.acceptedAfter(limit), 0)
  t.equal(watched.results.at(-1)?.status, 403)
})

test('a listener that cannot connect at the start costs only speed', async t => {
  const service = await startApp(t, { LISTEN_DATABASE_URL: 'postgres://127.0.0.1:1/none' })
  const ada = await warm(service)
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  t.equal(await admin(service, ada.accessToken), 403)
  t.match(service.logs.find(line => line.msg.startsWith('invalidations lost')), { level: 40 })
})

/** What PgBouncer and its like do in transaction mode, as the service sees it, and the attempts to wait for. */
const POOLERS = {
  'a pooler reports a process of its own': {
    attempts: 2,
    change (message: Buffer) {
      // BackendKeyData: the id of the process.
      if (message[0] === 'K'.charCodeAt(0)) message.writeUInt32BE(message.readUInt32BE(5) ^ 1, 5)
      return message
    }
  },
  'notifications do not arrive': {
    attempts: 1,
    // NotificationResponse
    change: (message: Buffer) => message[0] === 'A'.charCodeAt(0) ? undefined : message
  }
}

for (const [name, { change, attempts }] of Object.entries(POOLERS)) {
  test(`if ${name}, every authenticated request queries the database`, async t => {
    const url = await createDatabase(t)
    const proxy = await openProxy(t, url, { change })
    const service = await startApp(t, { DATABASE_URL: url, LISTEN_DATABASE_URL: proxy.url })
    const ada = await warm(service)
    t.match(service.app.sessionCache.stats(), { isListening: false, hits: 0, misses: 1 })
    await service.sql('DELETE FROM user_roles WHERE role_id = 3')
    t.equal(await admin(service, ada.accessToken), 403)
    await service.sql('DELETE FROM refresh_tokens')
    t.equal(await admin(service, ada.accessToken), 401)
    await until('the attempts', () => service.app.sessionCache.stats().losses >= attempts)
    const lost = service.logs.filter(line => line.msg.startsWith('invalidations lost'))
    t.equal(lost.length, 1, 'the same reason is logged once a minute')
    t.match(lost, [{ level: 40, msg: /LISTEN_DATABASE_URL/ }])
    t.match(await service.app.metrics.metrics(), /^gatehouse_invalidations_lost_total [1-9]/m)
  })
}

test('a token whose user does not own its session is rejected', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  await service.signUp('bob')
  const { sid } = service.app.accessTokens.verify(ada.accessToken)
  const crossed = service.app.accessTokens.issue(sessionEntry({ userId: 2, sessionId: sid, roles: ['admin'] }))
  t.equal(await admin(service, crossed), 401)
})

test('a cached session expires', async t => {
  const service = await startApp(t, { REFRESH_TOKEN_TTL: 2 })
  const ada = await warm(service)
  const claims = service.app.accessTokens.verify(ada.accessToken)
  t.equal(service.app.sessionCache.get(claims)?.userId, 1)
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 2000 })
  t.equal(service.app.sessionCache.get(claims), undefined)
})
