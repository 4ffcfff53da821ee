import pg from 'pg'
import { type Test, test } from 'tap'
import { createDatabase, startApp, type TestApp } from '../support/app.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

const admin = async (service: TestApp, token: string) => (await service.get('/api/test/admin', { 'x-access-token': token })).status

/** A service with an admin whose authority is remembered. */
async function warm (service: TestApp) {
  await service.signUp('ada', ['user', 'admin'])
  const ada = await service.signIn('ada')
  if (await admin(service, ada.accessToken) !== 200) throw new Error('ada is no admin')
  return ada
}

/** When each pooled connection of the service ran its last statement. */
const lastStatements = async (service: TestApp) => await service.sql(
  'SELECT pid, query_start FROM pg_stat_activity WHERE application_name = \'gatehouse\' AND datname = current_database() ORDER BY pid')

test('in the steady state a guarded request asks the database nothing', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  const seen = new Set<number>()
  const before = await until('1000 requests without a statement', async () => {
    const before = await lastStatements(service)
    for (let i = 0; i < 500; i++) {
      seen.add(await admin(service, ada.accessToken))
      seen.add((await service.get('/api/test/user', { authorization: `Bearer ${ada.accessToken}` })).status)
    }
    // On a machine so busy that a heartbeat is late, a request does ask; then another thousand are sent.
    return JSON.stringify(await lastStatements(service)) === JSON.stringify(before) && before
  })
  t.strictSame([...seen], [200])
  t.ok(before.length > 0)
  await service.get('/api/users/me', { 'x-access-token': ada.accessToken })
  t.strictNotSame(await lastStatements(service), before, 'a statement would have been seen')
})

test('SESSION_CACHE=off asks the database every time, and listens to nothing', async t => {
  const service = await startApp(t, { SESSION_CACHE: 'off' })
  const ada = await warm(service)
  let asked = 0
  const query = service.app.db.query
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      asked++
      return await query(statement)
    }
  })
  for (let i = 0; i < 10; i++) t.equal(await admin(service, ada.accessToken), 200)
  t.equal(asked, 10)
  t.strictSame(await service.sql('SELECT FROM pg_stat_activity WHERE application_name = \'gatehouse announcements\' AND datname = current_database()'), [])
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  t.equal(await admin(service, ada.accessToken), 403)
})

/** What a hand in psql may do, who is told of it, and what the admin's token is answered then. */
const BY_HAND: Array<[sql: string, announced: string[], answer: number]> = [
  ['DELETE FROM user_roles WHERE user_id = 1 AND role_id = 3', ['1'], 403],
  ['UPDATE user_roles SET role_id = 2 WHERE user_id = 1 AND role_id = 3', ['1'], 403],
  ['UPDATE user_roles SET user_id = 2 WHERE user_id = 1 AND role_id = 3', ['1', '2'], 403],
  ['INSERT INTO user_roles VALUES (2, 2)', ['2'], 200],
  ['DELETE FROM refresh_tokens', ['1', '2'], 401],
  ['UPDATE refresh_tokens SET expires_at = created_at + interval \'1 microsecond\' WHERE user_id = 1', ['1'], 401],
  ['UPDATE users SET disabled_at = now() WHERE id = 1', ['1'], 401],
  ['UPDATE users SET disabled_at = NULL', [], 200],
  ['UPDATE users SET username = \'adele\' WHERE id = 1', [], 200],
  ['DELETE FROM users WHERE id = 1', ['1'], 401],
  ['DELETE FROM users', ['1', '2'], 401],
  ['TRUNCATE refresh_tokens', ['*'], 401],
  ['TRUNCATE user_roles', ['*'], 403],
  ['TRUNCATE users CASCADE', ['*'], 401]
]

for (const [text, announced, answer] of BY_HAND) {
  test(`by hand: ${text}`, async t => {
    const service = await startApp(t)
    const ada = await warm(service)
    await service.signUp('bob')
    await service.signIn('bob')
    const heard = await listen(t, service.url)
    await service.sql(text)
    t.strictSame((await heard()).sort(), announced)
    // The service hears it on a connection of its own, a moment sooner or later.
    await until(`the answer ${answer}`, async () => await admin(service, ada.accessToken) === answer, 1000)
    t.equal(await admin(service, ada.accessToken), answer)
  })
}

/** Hears what the triggers announce; the function it gives says what, up to now. */
async function listen (t: Test, url: string): Promise<() => Promise<string[]>> {
  const client = new pg.Client({ connectionString: url })
  const heard: string[] = []
  client.on('notification', ({ payload = '' }) => { heard.push(payload) })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query('LISTEN gatehouse_invalidation')
  return async () => {
    // A question and its answer pass after whatever was announced before.
    await client.query('NOTIFY gatehouse_invalidation, \'mark\'')
    await until('the mark', () => heard.includes('mark'))
    return heard.splice(0).filter(payload => payload !== 'mark')
  }
}

test('sign-up, sign-in, refresh and the purge of expired sessions announce nothing', async t => {
  const service = await startApp(t, { SIGNUP_ROLES: ['user', 'admin'] })
  const heard = await listen(t, service.url)
  await service.post('/api/auth/signup', { username: 'eve', email: 'eve@example.com', password: 'correct horse', roles: ['user', 'admin'] })
  const { refreshToken } = await service.signIn('eve')
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 200)
  t.strictSame(await heard(), [])
  await service.sql('UPDATE refresh_tokens SET created_at = now() - interval \'2 h\', expires_at = now() - interval \'1 h\'')
  t.strictSame(await heard(), ['1'], 'moving the end of a session by hand is news')
  t.equal(await service.app.purge(), 1)
  t.strictSame(await heard(), [])
})

test('a change that lands between the question and the cache leaves no old answer behind', async t => {
  const service = await startApp(t)
  await service.signUp('ada', ['user', 'admin'])
  const ada = await service.signIn('ada')
  const heard = await listen(t, service.url)
  const query = service.app.db.query
  let isFirst = true
  t.intercept(service.app.db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      const rows = await query(statement)
      if (isFirst) {
        isFirst = false
        await service.sql('DELETE FROM user_roles WHERE role_id = 3')
        // The service's own connection has heard it as well when a later change of another user has been acted on.
        await heard()
        await until('the announcement', async () => (await service.sql(
          'SELECT FROM pg_stat_activity WHERE application_name = \'gatehouse announcements\' AND datname = current_database() AND query_start > now() - interval \'100 ms\'')).length > 0)
      }
      return rows
    }
  })
  t.equal(await admin(service, ada.accessToken), 200, 'asked before the change')
  t.equal(await admin(service, ada.accessToken), 403, 'asked after it')
})

/** Asks every 10 ms whether a token still lets its bearer in, and notes when. */
function watch (service: TestApp, token: string) {
  const answers: Array<{ at: number, status: number }> = []
  const state = { on: true }
  const running = (async () => {
    while (state.on) {
      const at = Date.now()
      answers.push({ at, status: await admin(service, token) })
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  })()
  return {
    answers,
    /** The yeses to questions that were asked later than `ms` after `since`. */
    staleAfter: (since: number, ms: number) => answers.filter(({ at, status }) => status === 200 && at > since + ms).length,
    async stop () {
      state.on = false
      await running
    }
  }
}

const HEARTBEAT_AND_A_SECOND = 2000

test('behind a black hole nothing is trusted for longer than the heartbeat and a second', async t => {
  const url = await createDatabase(t)
  const proxy = await openProxy(t, url)
  const service = await startApp(t, { DATABASE_URL: url, LISTEN_DATABASE_URL: proxy.url })
  const ada = await warm(service)
  const watched = watch(service, ada.accessToken)
  proxy.freeze()
  const since = Date.now()
  await service.sql('DELETE FROM refresh_tokens')
  await until('enough questions', () => Date.now() - since > HEARTBEAT_AND_A_SECOND + 1500)
  await watched.stop()
  t.ok(watched.answers.filter(({ at }) => at > since + HEARTBEAT_AND_A_SECOND).length > 20)
  t.equal(watched.staleAfter(since, HEARTBEAT_AND_A_SECOND), 0, 'stale answers')

  const again = await service.signIn('ada')
  t.equal(await admin(service, again.accessToken), 200, 'the database is asked')
  proxy.thaw()
  await until('the cache to be used again', async () => {
    await admin(service, again.accessToken)
    const before = await lastStatements(service)
    for (let i = 0; i < 20; i++) await admin(service, again.accessToken)
    return JSON.stringify(await lastStatements(service)) === JSON.stringify(before)
  }, 15_000)
  t.match(service.logs.find(line => line.msg.startsWith('announcements of changes lost')), { level: 40 })
})

test('with the listening connection killed nothing old is answered, and it comes back', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  const watched = watch(service, ada.accessToken)
  const listener = 'FROM pg_stat_activity WHERE application_name = \'gatehouse announcements\' AND datname = current_database()'
  await service.sql(`SELECT pg_terminate_backend(pid) ${listener}`)
  const since = Date.now()
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  await until('the listener to be back', async () => (await service.sql(`SELECT ${listener}`)).length > 0, 10_000)
  await until('enough questions', () => Date.now() - since > HEARTBEAT_AND_A_SECOND + 500)
  await watched.stop()
  t.equal(watched.staleAfter(since, HEARTBEAT_AND_A_SECOND), 0, 'stale answers')
  t.equal(watched.answers.at(-1)?.status, 403)
})

test('a listener that cannot connect at start costs speed only', async t => {
  const service = await startApp(t, { LISTEN_DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/nowhere' })
  const ada = await warm(service)
  await service.sql('DELETE FROM user_roles WHERE role_id = 3')
  t.equal(await admin(service, ada.accessToken), 403)
  t.match(service.logs.find(line => line.msg.startsWith('announcements of changes lost')), { level: 40 })
})

test('a token whose owner and session do not belong together is no good', async t => {
  const service = await startApp(t)
  const ada = await warm(service)
  await service.signUp('bob')
  const { sid } = service.app.accessTokens.verify(ada.accessToken)
  const crossed = service.app.accessTokens.issue({ id: 2, roles: ['admin'] }, sid, new Date(Date.now() + 60_000))
  t.equal(await admin(service, crossed), 401)
})

test('a remembered session is over when its time is', async t => {
  const service = await startApp(t, { REFRESH_TOKEN_TTL: 2 })
  const ada = await warm(service)
  const claims = service.app.accessTokens.verify(ada.accessToken)
  t.equal(service.app.sessionCache.recall(claims)?.userId, 1)
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 2000 })
  t.equal(service.app.sessionCache.recall(claims), undefined)
})
