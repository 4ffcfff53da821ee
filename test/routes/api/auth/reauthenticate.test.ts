import { type Test, test } from 'tap'
import { PASSWORD, SET_HASH, type SignedIn, startApp, type TestApp, type Tokens } from '../../../support/app.ts'
import { shareApp } from '../../../support/shared-app.ts'
import { until } from '../../../support/wait.ts'

const wrong = { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null }
const invalid = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }

const reauthenticate = async (service: TestApp, { accessToken }: Tokens, password = PASSWORD) =>
  await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { password })

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()) as Record<string, unknown>

interface Row {
  id: string
  fresh: boolean
}

const sessions = async ({ sql }: TestApp) => await sql<Row>(`SELECT id, generation::int, created_at, expires_at, last_used_at,
  authenticated_at > now() - interval '1 min' AS fresh, amr FROM refresh_tokens`)

/** Alice, whose session is stale and cached. */
async function signInStale (service: TestApp): Promise<SignedIn> {
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  await service.sql('UPDATE refresh_tokens SET authenticated_at = now() - interval \'1 h\'')
  await service.as(alice.accessToken, 'GET', '/api/test/user')
  return alice
}

test('the right password makes the session fresh, and nothing else of it changes', async t => {
  const service = await shareApp(t)
  const alice = await signInStale(service)
  const [before] = await sessions(service)
  const begin = Math.floor(Date.now() / 1000)
  const response = await reauthenticate(service, alice)
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { accessToken, ...rest } = response.json<Tokens>()
  t.strictSame(rest, {})
  const { auth_time: authTime, ...claims } = claimsOf(accessToken)
  t.match(claims, { id: 1, sid: before?.id, roles: ['user'], amr: ['pwd'] })
  t.ok(Number(authTime) >= begin)
  t.strictSame(await sessions(service), [{ ...before, fresh: true }])
  for (const token of [alice.accessToken, accessToken]) {
    t.equal((await service.as(token, 'GET', '/api/test/user')).status, 200)
  }
  const refreshed = await service.post('/api/auth/refreshtoken', { refreshToken: alice.refreshToken })
  t.match(claimsOf(refreshed.json<Tokens>().accessToken), { auth_time: authTime, amr: ['pwd'] })
  t.match(service.logs.find(line => line['event'] === 'authn_login_success' && line['sessionId'] !== undefined),
    { level: 30, userId: 1, sessionId: before?.id })
})

test('a wrong password renews nothing, and wrong ones are throttled without keeping the user from signing in', async t => {
  const service = await shareApp(t, { SIGNIN_MAX_FAILURES: 2 })
  const alice = await signInStale(service)
  const statuses = []
  for (const password of ['wrong horse', 'wrong horse', PASSWORD]) {
    const { status, body } = await reauthenticate(service, alice, password)
    statuses.push(status)
    if (status === 401) t.strictSame(body, wrong)
  }
  t.strictSame(statuses, [401, 401, 429])
  t.match(await sessions(service), [{ fresh: false }])
  t.match(service.logs.find(line => line['event'] === 'authn_login_fail'), { level: 40, userId: 1, ip: '127.0.0.1' })
  const again = await service.signIn('alice')
  t.equal((await reauthenticate(service, alice)).status, 429)
  t.equal((await reauthenticate(service, again)).status, 200)
})

test('a password, a code or a passkey is required', async t => {
  const service = await shareApp(t)
  const alice = await signInStale(service)
  const response = await service.as(alice.accessToken, 'POST', '/api/auth/reauthenticate', {})
  const message = 'one of password, code and passkey is required'
  t.strictSame([response.status, response.body], [400, { message, code: 'VALIDATION_FAILED' }])
})

test('password changes, deletions and reauthentications have a limit per address each', async t => {
  const service = await shareApp(t, { RATE_LIMIT_SIGNIN: 2 })
  const alice = await signInStale(service)
  const statuses = []
  for (let i = 0; i < 3; i++) statuses.push((await reauthenticate(service, alice)).status)
  t.strictSame(statuses, [200, 200, 429])
})

/** Acts after a password has been verified. */
function afterVerifying (t: Test, { app }: TestApp, act: () => Promise<unknown>) {
  const verify = app.passwords.verify
  t.intercept(app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verify>) => {
      const matches = await verify(...args)
      await act()
      return matches
    }
  })
}

for (const [title, text, error] of [
  ['the session ends', 'DELETE FROM refresh_tokens', invalid],
  ['the user is disabled', 'UPDATE users SET disabled_at = now()', invalid],
  ['the user is deleted', 'DELETE FROM users', invalid],
  ['the password is deleted', 'DELETE FROM credentials', wrong],
  ['the password is changed', SET_HASH, wrong]
] as const) {
  test(`if ${title} while the password is verified, nothing is renewed`, async t => {
    const service = await shareApp(t)
    const alice = await signInStale(service)
    afterVerifying(t, service, async () => await service.sql(text, text === SET_HASH ? ['$argon2id$'] : []))
    const response = await reauthenticate(service, alice)
    t.strictSame([response.status, response.body], [401, error])
    t.strictSame((await sessions(service)).filter(({ fresh }) => fresh), [])
  })
}

test('an idle session that expires while the password is verified is not renewed', async t => {
  const service = await shareApp(t, { REFRESH_IDLE_TTL: 60 })
  const alice = await signInStale(service)
  afterVerifying(t, service, async () =>
    await service.sql('UPDATE refresh_tokens SET last_used_at = now() - interval \'61 s\''))
  t.equal((await reauthenticate(service, alice)).status, 401)
  t.match(await sessions(service), [{ fresh: false }])
})

test('renewals are HOT updates, at least 38 of 40, which write no index entry', async t => {
  const service = await startApp(t)
  await service.signUp('alice')
  const alice = await service.signIn('alice')
  for (let i = 0; i < 40; i++) t.equal((await reauthenticate(service, alice)).status, 200)
  // A connection reports its statistics when it ends, at the latest.
  await service.app.close()
  const stats = await until('the statistics', async () => (await service.sql<{ hot: number }>(
    'SELECT n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'refresh_tokens\' AND n_tup_upd = 40'))[0])
  // An update is not HOT if another process has pinned the page at that moment.
  t.ok(stats.hot >= 38, `${stats.hot} of 40`)
})
