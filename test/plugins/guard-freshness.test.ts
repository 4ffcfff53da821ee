import { test, type Test } from 'tap'
import { insertUser } from '../../sql/sign-up.ts'
import { ApiError } from '../../src/errors.ts'
import { PASSWORD, type SignedIn, startApp, type TestApp, type Tokens } from '../support/app.ts'
import { buildWith } from '../support/routes.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

for (const flag of ['freshness', 'enrolment']) {
  test(`a route whose ${flag} cannot be enforced prevents the start`, async t => {
    const build = async (access: 'public' | 'admin', value: unknown) => await buildWith(t, app => {
      app.route({ method: 'GET', url: '/fresh', config: { access, [flag]: value }, handler: async () => 'fresh' })
    })
    await t.rejects(build('public', true), { message: `Route GET /fresh is public, so it cannot declare ${flag}.` })
    for (const value of [false, null, 'true', 600]) {
      await t.rejects(build('admin', value),
        { message: `Route GET /fresh declares the unknown ${flag} "${value}". Use true, or leave it out.` })
    }
    await t.resolves(build('admin', undefined))
  })
}

const required = { message: 'Please confirm that it is you and try again.', code: 'REAUTHENTICATION_REQUIRED' }
const challenge = (within = 600) => `Bearer error="insufficient_user_authentication", max_age=${within}`

/** Makes every session stale. A cached one stays fresh, since the service itself never sets the time back. */
const makeStale = async ({ sql }: TestApp, seconds = 601) =>
  await sql('UPDATE refresh_tokens SET authenticated_at = now() - make_interval(secs => $1)', [seconds])

const FRESH = [
  ['PUT', '/api/users/2/roles', { roles: ['user', 'moderator'] }],
  ['PUT', '/api/users/2/disabled', { disabled: true }],
  ['DELETE', '/api/users/2', undefined],
  ['DELETE', '/api/users/2/sessions', undefined],
  ['DELETE', '/api/users/me', { password: PASSWORD }]
] as const

/** Ada, an admin, is user 1; bob, whom she changes, is user 2; carl is a second admin. */
async function signInAda (service: TestApp): Promise<SignedIn> {
  await service.signUp('ada', ['user', 'admin'])
  await service.signUp('bob')
  await service.signUp('carl', ['admin'])
  return await service.signIn('ada')
}

const reauthenticate = async (service: TestApp, { accessToken }: Tokens) =>
  await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { password: PASSWORD })

for (const [method, path, payload] of FRESH) {
  test(`${method} ${path} needs a fresh session, which may have been renewed on another instance`, async t => {
    const here = await shareApp(t)
    const ada = await signInAda(here)
    const there = await startApp(t, { DATABASE_URL: here.url })
    await makeStale(here)
    for (const service of [here, there]) {
      const denied = await service.as(ada.accessToken, method, path, payload)
      t.strictSame([denied.status, denied.body, denied.headers['www-authenticate']], [401, required, challenge()])
      t.equal(denied.headers['cache-control'], 'no-store')
      t.equal((await service.as(ada.accessToken, 'GET', '/api/test/admin')).status, 200, 'the session is alive')
    }
    t.equal((await reauthenticate(there, ada)).status, 200)
    t.equal((await here.as(ada.accessToken, method, path, payload)).status, 200, 'at once, with the old access token')
  })

  test(`${method} ${path} accepts the session of a recent sign-in`, async t => {
    const service = await shareApp(t)
    const ada = await signInAda(service)
    await makeStale(service, 590)
    t.equal((await service.as(ada.accessToken, method, path, payload)).status, 200)
  })
}

test('a refresh does not renew a session: its tokens keep the time of the sign-in', async t => {
  const service = await shareApp(t)
  const ada = await signInAda(service)
  await makeStale(service)
  const response = await service.post('/api/auth/refreshtoken', { refreshToken: ada.refreshToken })
  const { accessToken } = response.json<Tokens>()
  const denied = await service.as(accessToken, 'DELETE', '/api/users/2')
  t.strictSame([denied.status, denied.body], [401, required])
  const [row] = await service.sql<{ at: number }>(
    'SELECT floor(extract(epoch FROM authenticated_at))::int AS at FROM refresh_tokens')
  t.match(JSON.parse(Buffer.from(String(accessToken.split('.')[1]), 'base64url').toString()),
    { auth_time: row?.at, amr: ['pwd'] })
})

test('with REAUTHENTICATION_WITHIN=0 no session is stale, and otherwise the setting is the max_age', async t => {
  const service = await shareApp(t, { REAUTHENTICATION_WITHIN: 0 })
  const ada = await signInAda(service)
  await makeStale(service, 86_000)
  t.equal((await service.as(ada.accessToken, 'DELETE', '/api/users/2')).status, 200)
  const strict = await startApp(t, { DATABASE_URL: service.url, REAUTHENTICATION_WITHIN: 60 })
  const denied = await strict.as(ada.accessToken, 'DELETE', '/api/users/3')
  t.strictSame([denied.status, denied.headers['www-authenticate']], [401, challenge(60)])
})

/** The names of the statements that a service runs from now on. */
function watchStatements (t: Test, { db }: TestApp['app']): string[] {
  const names: string[] = []
  const query = db.query
  t.intercept(db, 'query', {
    value: async (statement: Parameters<typeof query>[0]) => {
      names.push(statement.name)
      return await query(statement)
    }
  })
  return names
}

test('a fresh session costs no statement in the steady state, and a stale one costs one', async t => {
  const { app } = await buildWith(t, app => {
    app.get('/fresh', { config: { access: 'signed-in', freshness: true } }, async ({ caller }) => ({ id: caller.userId }))
  })
  const passwordHash = await app.passwords.hash(PASSWORD, '127.0.0.1')
  await app.db.query(insertUser({ username: 'ada', email: 'ada@example.com', passwordHash, roles: [] }, { actorId: null, ip: '' }))
  const signedIn = await app.inject({ method: 'POST', url: '/api/auth/signin', payload: { username: 'ada', password: PASSWORD } })
  const headers = { 'x-access-token': signedIn.json<Tokens>().accessToken }
  const names = watchStatements(t, app)
  const statuses = new Set<number>()
  await until('1000 requests without a statement', async () => {
    names.length = 0
    for (let i = 0; i < 1000; i++) statuses.add((await app.inject({ url: '/fresh', headers })).statusCode)
    // A late heartbeat, on a busy machine, makes a request query; then another thousand are sent.
    return names.length === 0
  })
  t.strictSame([...statuses], [200])
  const later = Date.now() + 601_000
  t.intercept(Date, 'now', { value: () => later })
  names.length = 0
  t.equal((await app.inject({ url: '/fresh', headers })).statusCode, 401)
  t.strictSame(names, ['live_session'])
})

test('while the database is unavailable, no stale session is accepted, and no fresh one is denied', async t => {
  const { app } = await buildWith(t, app => {
    app.get('/fresh', { config: { access: 'signed-in', freshness: true } }, async () => ({}))
  })
  t.intercept(app.sessionCache, 'get', {
    value: () => ({ userId: 1, sessionId: '', roles: [], expiresAt: new Date(), amr: ['pwd'], authenticatedAt })
  })
  t.intercept(app.accessTokens, 'verify', { value: () => ({}) })
  await app.ready()
  t.intercept(app.db, 'query', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  let authenticatedAt = new Date()
  const status = async () => (await app.inject({ url: '/fresh', headers: { 'x-access-token': 'x' } })).statusCode
  t.equal(await status(), 200)
  authenticatedAt = new Date(Date.now() - 601_000)
  t.equal(await status(), 503)
})

for (const [what, text, code] of [
  ['that ended is revoked', 'DELETE FROM refresh_tokens', 'ACCESS_TOKEN_INVALID'],
  ['that lost its role is denied', 'DELETE FROM user_roles WHERE user_id = 1 AND role_id = 3', 'ADMIN_REQUIRED']
] as const) {
  test(`a stale session ${what}, even if this instance has not been notified yet`, async t => {
    const service = await shareApp(t)
    const ada = await signInAda(service)
    await makeStale(service)
    t.match(await service.as(ada.accessToken, 'DELETE', '/api/users/2'), { status: 401, body: required })
    const get = service.app.sessionCache.get
    const cached = get(service.app.accessTokens.verify(ada.accessToken))
    t.intercept(service.app.sessionCache, 'get', { value: () => cached })
    await service.sql(text)
    t.match((await service.as(ada.accessToken, 'DELETE', '/api/users/2')).body, { code })
  })
}
