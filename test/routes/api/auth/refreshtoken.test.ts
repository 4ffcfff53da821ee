import { test } from 'tap'
import { RefreshTokenCodec } from '../../../../src/tokens/refresh-token.ts'
import { PASSWORD, SECRET, startApp, type TestApp, type Tokens } from '../../../support/app.ts'
import { shareApp } from '../../../support/shared-app.ts'
import { until } from '../../../support/wait.ts'

const required = { message: 'Refresh Token is required!', code: 'REFRESH_TOKEN_MISSING' }
const unknown = { message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN' }
const expired = { message: 'Refresh token was expired. Please make a new signin request', code: 'REFRESH_TOKEN_EXPIRED' }

const codec = new RefreshTokenCodec(SECRET)
const generationOf = (token: string) => codec.decode(token)?.generation

const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>

/** Signs in a user. @returns what the tests do with the session */
async function session (service: TestApp) {
  await service.signUp('alice')
  const { refreshToken, accessToken } = await service.signIn('alice')
  const present = async (token: unknown) => await service.post('/api/auth/refreshtoken', { refreshToken: token })
  return {
    first: refreshToken,
    accessToken,
    present,
    /** Presents a token that must be accepted. @returns the new token */
    async successor (token: string): Promise<string> {
      const response = await present(token)
      if (response.status !== 200) throw new Error(`rejected: ${JSON.stringify(response.body)}`)
      return response.json<Tokens>().refreshToken
    },
    /** Moves the session into the past, as if time had passed. */
    async later (seconds: number) {
      await service.sql(`UPDATE refresh_tokens SET
        superseded_at = ARRAY(
          SELECT at - make_interval(secs => $1) FROM unnest(superseded_at) WITH ORDINALITY AS s (at, n) ORDER BY n),
        created_at = created_at - make_interval(secs => $1),
        last_used_at = last_used_at - make_interval(secs => $1),
        expires_at = expires_at - make_interval(secs => $1)`, [seconds])
    },
    sessions: async () => await service.sql('SELECT generation::int FROM refresh_tokens ORDER BY id')
  }
}

for (const body of [{}, { refreshToken: null }, '', undefined]) {
  test(`a refresh with the body ${JSON.stringify(body)} lacks a token`, async t => {
    const { post } = await shareApp(t)
    const response = await post('/api/auth/refreshtoken', body ?? '')
    t.equal(response.status, 403)
    t.equal(response.headers['www-authenticate'], undefined)
    t.strictSame(response.body, required)
  })
}

test('a refresh without body and content type lacks a token', async t => {
  const { app } = await shareApp(t)
  const response = await app.inject({ method: 'POST', url: '/api/auth/refreshToken' })
  t.equal(response.statusCode, 403)
  t.strictSame(response.json(), required)
})

test('a text that is not a token is unknown, whatever its length, and causes no query', async t => {
  const service = await shareApp(t)
  const { present, first } = await session(service)
  t.intercept(service.app.db, 'query', { value: async () => { throw new Error('the database was queried') } })
  const foreign = new RefreshTokenCodec('another secret of at least 32 bytes, yes').encode({
    userId: 1, sessionId: '0190a0a0-0000-7000-8000-000000000000', generation: 0
  })
  for (const token of ['', 'x', 'x'.repeat(10_000), '\u0000', `${first}=`, first.slice(1), `${first.slice(0, -1)}B`, foreign]) {
    const response = await present(token)
    t.equal(response.status, 403)
    t.strictSame(response.body, unknown)
  }
})

test('a valid token is exchanged for new tokens of the same session', async t => {
  const service = await shareApp(t)
  const { first, present } = await session(service)
  const response = await present(first)
  t.equal(response.status, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const { accessToken, refreshToken } = response.json<Tokens>()
  t.not(refreshToken, first)
  t.strictSame(Object.keys(response.json<object>()), ['accessToken', 'refreshToken'])
  t.equal((await service.get('/api/test/user', { 'x-access-token': accessToken })).body, 'User Content.')
})

test('the new access token has the current roles', async t => {
  const service = await shareApp(t)
  const { first, present } = await session(service)
  await service.sql('INSERT INTO user_roles VALUES (1, 3)')
  const { accessToken } = (await present(first)).json<Tokens>()
  t.equal((await service.get('/api/test/admin', { 'x-access-token': accessToken })).body, 'Admin Content.')
})

test('an access token beside the refresh token is ignored', async t => {
  const service = await shareApp(t)
  const { first } = await session(service)
  const response = await service.post('/api/auth/refreshtoken', { refreshToken: first }, { 'x-access-token': 'garbage' })
  t.equal(response.status, 200)
})

test('a token of a deleted session is unknown', async t => {
  const service = await shareApp(t)
  const { first, present } = await session(service)
  await service.sql('DELETE FROM refresh_tokens')
  const response = await present(first)
  t.equal(response.status, 403)
  t.strictSame(response.body, unknown)
})

test('an expired session is reported once, and its row is deleted', async t => {
  const service = await shareApp(t)
  const { first, present, later, sessions } = await session(service)
  await later(86_399)
  t.equal((await present(first)).status, 200)
  await later(1)
  const response = await present(first)
  t.equal(response.status, 403)
  t.strictSame(response.body, expired)
  t.strictSame(await sessions(), [])
  t.strictSame((await present(first)).body, unknown)
})

test('a refresh never extends a session', async t => {
  const service = await shareApp(t)
  const { first, successor } = await session(service)
  const ends = async () => await service.sql('SELECT expires_at FROM refresh_tokens')
  const before = await ends()
  await successor(await successor(first))
  t.strictSame(await ends(), before)
})

test('a session without a refresh for REFRESH_IDLE_TTL expires, and one with refreshes does not', async t => {
  const service = await shareApp(t, { REFRESH_IDLE_TTL: 60 })
  const { first, present, later } = await session(service)
  for (let i = 0; i < 3; i++) {
    await later(59)
    t.equal((await present(first)).status, 200)
  }
  await later(60)
  t.strictSame((await present(first)).body, expired)
})

test('a session without a refresh for REFRESH_IDLE_TTL ends for its access tokens too, also if it is cached', async t => {
  const service = await shareApp(t, { REFRESH_IDLE_TTL: 60 })
  await service.signUp('alice')
  const { accessToken, refreshToken } = await service.signIn('alice')
  const status = async () => (await service.as(accessToken, 'GET', '/api/test/user')).status
  t.equal(await status(), 200)
  const now = Date.now()
  t.intercept(Date, 'now', { value: () => now + 60_000 })
  await service.sql('UPDATE refresh_tokens SET last_used_at = now() - interval \'61 s\'')
  t.equal(await status(), 401)
  t.equal((await service.post('/api/auth/refreshtoken', { refreshToken })).status, 403)
})

test('a session of a disabled user that was inserted by hand cannot be refreshed', async t => {
  const service = await shareApp(t)
  await service.signUp('alice')
  const { refreshToken } = await service.signIn('alice')
  await service.sql('SET session_replication_role = replica; UPDATE users SET disabled_at = now()')
  t.strictSame((await service.post('/api/auth/refreshtoken', { refreshToken })).body, {
    message: 'Refresh token is not in database!', code: 'REFRESH_TOKEN_UNKNOWN'
  })
})

test('lenient: the token of the sign-in is valid for the whole session, always with the same successor', async t => {
  const service = await shareApp(t)
  const { first, successor, later } = await session(service)
  const next = await successor(first)
  for (let i = 0; i < 5; i++) {
    await later(3600)
    t.equal(await successor(first), next)
  }
  t.equal(generationOf(next), 1)
})

test('lenient: once its successor has been used, a token is exchanged for the newest one during the grace', async t => {
  const service = await shareApp(t)
  const { first, successor, later } = await session(service)
  const second = await successor(first)
  const third = await successor(second)
  t.equal(await successor(first), third)
  await later(9)
  t.equal(await successor(first), third)
  t.equal(generationOf(third), 2)
})

test('lenient: after the grace a superseded token ends its session, including the newest token, and no other session', async t => {
  const service = await shareApp(t)
  const { first, successor, present, later, sessions } = await session(service)
  const other = (await service.signIn('alice')).refreshToken
  const second = await successor(first)
  const third = await successor(second)
  await later(10)
  const response = await present(first)
  t.equal(response.status, 403)
  t.strictSame(response.body, unknown)
  for (const token of [third, second, first]) t.strictSame((await present(token)).body, unknown)
  t.equal((await present(other)).status, 200)
  t.equal((await sessions()).length, 1)
})

test('reuse is a security event, logged without the token', async t => {
  const service = await shareApp(t)
  const { first, successor, present, later } = await session(service)
  await successor(await successor(first))
  await later(10)
  await present(first)
  const [event] = service.logs.filter(line => line['event'] === 'authn_token_reuse')
  t.match(event, {
    level: 40,
    event: 'authn_token_reuse',
    userId: 1,
    sessionId: codec.decode(first)?.sessionId,
    ip: '127.0.0.1',
    msg: 'authn_token_reuse'
  })
  t.notMatch(JSON.stringify(service.logs), first)
})

test('each superseded token has a grace of its own', async t => {
  const service = await shareApp(t)
  const { first, successor, present, later } = await session(service)
  const second = await successor(first)
  const third = await successor(second)
  await later(6)
  const fourth = await successor(third)
  t.equal(await successor(first), fourth, 'superseded 6 s ago')
  await later(6)
  t.equal(await successor(second), fourth, 'superseded 6 s ago')
  t.strictSame((await present(first)).body, unknown, 'superseded 12 s ago')
})

test('a token more than eight generations behind is reuse even within the grace', async t => {
  const service = await shareApp(t)
  const { first, successor, present } = await session(service)
  let head = first
  for (let i = 0; i < 8; i++) head = await successor(head)
  t.equal(generationOf(head), 8)
  head = await successor(head)
  t.equal(await successor(first), head, 'eight behind')
  await successor(head)
  t.strictSame((await present(first)).body, unknown, 'nine behind')
})

test('a token ahead of its row is accepted, because a failover can lose a commit', async t => {
  const service = await shareApp(t)
  const { first, successor, sessions } = await session(service)
  const { userId = 0, sessionId = '' } = codec.decode(first) ?? {}
  const ahead = codec.encode({ userId, sessionId, generation: 20 })
  t.equal(generationOf(await successor(ahead)), 21)
  t.strictSame(await sessions(), [{ generation: 20 }])
  t.equal(generationOf(await successor(codec.encode({ userId, sessionId, generation: 4_294_967_290 }))), 4_294_967_291)
})

test('strict: a used token has the same successor during the grace, and ends the session after it', async t => {
  const service = await shareApp(t, { REFRESH_ROTATION: 'strict' })
  const { first, successor, present, later } = await session(service)
  const second = await successor(first)
  t.equal(generationOf(second), 1)
  t.equal(await successor(first), second)
  await later(9)
  t.equal(await successor(first), second)
  await later(1)
  t.strictSame((await present(first)).body, unknown)
  t.strictSame((await present(second)).body, unknown)
})

test('strict: the newest token is valid until it is used', async t => {
  const service = await shareApp(t, { REFRESH_ROTATION: 'strict' })
  const { first, successor, later } = await session(service)
  const second = await successor(first)
  await later(3600)
  t.equal(generationOf(await successor(second)), 2)
})

test('off: the token is fixed for the whole session', async t => {
  const service = await shareApp(t, { REFRESH_ROTATION: 'off' })
  const { first, successor, later } = await session(service)
  for (let i = 0; i < 3; i++) {
    t.equal(await successor(first), first)
    await later(3600)
  }
})

test('a session survives a change of REFRESH_ROTATION', async t => {
  const lenient = await startApp(t)
  const { first, successor } = await session(lenient)
  const second = await successor(first)
  const strict = await startApp(t, { REFRESH_ROTATION: 'strict', DATABASE_URL: lenient.url })
  const response = await strict.post('/api/auth/refreshtoken', { refreshToken: second })
  t.equal(response.status, 200)
  t.equal(await successor(response.json<Tokens>().refreshToken), codec.encode({
    userId: 1, sessionId: String(codec.decode(first)?.sessionId), generation: 3
  }))
})

for (const rotation of ['lenient', 'strict'] as const) {
  test(`${rotation}: 20 concurrent refreshes at two replicas advance by one generation, in each of 30 rounds`, async t => {
    const one = await startApp(t, { REFRESH_ROTATION: rotation })
    const two = await startApp(t, { REFRESH_ROTATION: rotation, DATABASE_URL: one.url })
    const { first, sessions } = await session(one)
    let token = first
    for (let round = 0; round < 30; round++) {
      const responses = await Promise.all(Array.from({ length: 20 }, async (_, i) =>
        await (i % 2 === 0 ? one : two).post('/api/auth/refreshtoken', { refreshToken: token })))
      t.strictSame(new Set(responses.map(response => response.status)), new Set([200]))
      const successors = new Set(responses.map(response => response.json<Tokens>().refreshToken))
      t.equal(successors.size, 1, 'all get the same successor')
      token = String([...successors][0])
      t.equal(generationOf(token), round + 1)
      t.strictSame(await sessions(), [{ generation: rotation === 'strict' ? round + 1 : round }])
    }
  })
}

test('refreshes are HOT updates, at least 48 of 50, which write no index entry', async t => {
  const service = await startApp(t)
  const { first, successor } = await session(service)
  let token = first
  for (let i = 0; i < 50; i++) token = await successor(token)
  // A connection reports its statistics when it ends, at the latest.
  await service.app.close()
  const stats = await until('the statistics', async () => (await service.sql<{ hot: number }>(
    'SELECT n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'refresh_tokens\' AND n_tup_upd = 50'))[0])
  // An update is not HOT if another process has pinned the page at that moment.
  t.ok(stats.hot >= 48, `${stats.hot} of 50`)
})

test('a dump of the database contains nothing that can be presented as a token', async t => {
  const service = await shareApp(t)
  const { first, accessToken } = await session(service)
  const rows = JSON.stringify(await service.sql('SELECT users.*, refresh_tokens.* FROM users, refresh_tokens'))
  for (const secret of [first, accessToken, PASSWORD, first.slice(-43)]) t.notMatch(rows, secret)
})

test('an audience gets an access token for that server alone, and the refresh token rotates as usual', async t => {
  const service = await shareApp(t, { JWT_AUDIENCES: ['orders', 'stock'] })
  const { first } = await session(service)
  const refresh = async (refreshToken: string, audience?: string) =>
    (await service.post('/api/auth/refreshtoken', { refreshToken, audience })).json<Tokens>()
  const orders = await refresh(first, 'orders')
  t.strictSame({ aud: claimsOf(orders.accessToken)['aud'], generation: generationOf(orders.refreshToken) },
    { aud: 'orders', generation: 1 })
  const response = await service.as(orders.accessToken, 'GET', '/api/test/user')
  t.strictSame([response.status, response.body], [401, { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }])

  const stock = await refresh(orders.refreshToken, 'stock')
  t.equal(claimsOf(stock.accessToken)['aud'], 'stock')
  for (const own of [await refresh(stock.refreshToken), await refresh(stock.refreshToken, 'gatehouse')]) {
    t.equal(claimsOf(own.accessToken)['aud'], 'gatehouse')
    t.equal((await service.as(own.accessToken, 'GET', '/api/test/user')).status, 200)
  }
})

test('an audience that is not listed is rejected, and the refresh token does not rotate', async t => {
  const service = await shareApp(t, { JWT_AUDIENCES: ['orders'] })
  const { first, sessions } = await session(service)
  await service.post('/api/auth/refreshtoken', { refreshToken: first })
  const before = await sessions()
  for (const audience of ['stock', 'Orders', '']) {
    const response = await service.post('/api/auth/refreshtoken', { refreshToken: first, audience })
    t.strictSame([response.status, response.body], [400, {
      message: 'The audience is unknown. Use one that JWT_AUDIENCES lists.', code: 'AUDIENCE_UNKNOWN'
    }])
  }
  t.strictSame(await sessions(), before)
  t.strictSame((await service.post('/api/auth/refreshtoken', { audience: 'stock' })).body, required)
})

test('two refreshes within a second give different access tokens', async t => {
  const service = await shareApp(t)
  const { first, present } = await session(service)
  const tokens = await Promise.all([1, 2, 3].map(async () => (await present(first)).json<Tokens>().accessToken))
  t.equal(new Set(tokens).size, 3)
})
