import { test } from 'tap'
import { record } from '../../src/telemetry/request-durations.ts'
import { PASSWORD, startApp, type TestApp } from '../support/app.ts'
import { until } from '../support/wait.ts'

/** The samples of one metric. */
const lines = async ({ app }: TestApp, name: string): Promise<string[]> =>
  (await app.metrics.metrics()).split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

test('requests are counted by method, route and status, and never by their URL', async t => {
  const service = await startApp(t)
  await service.get('/api/test/all')
  await service.get('/API/test/ALL/')
  await service.get('/api/test/user')
  await service.get('/nowhere/at-all')
  await service.as('no token', 'PUT', '/a-secret')
  const counted = async () => (await lines(service, 'http_request_duration_seconds_count')).map(line => Number(line.split(' ')[1]))
  await until('five requests to be counted', async () => (await counted()).reduce((a, b) => a + b, 0) === 5)
  t.strictSame(await lines(service, 'http_request_duration_seconds_count'), [
    'http_request_duration_seconds_count{method="GET",route="/api/test/all",status="200"} 2',
    'http_request_duration_seconds_count{method="GET",route="/api/test/user",status="403"} 1',
    'http_request_duration_seconds_count{method="any",route="none",status="404"} 2'
  ])
})

test('durations are exposed as cumulative buckets, a sum and a count', async t => {
  const service = await startApp(t)
  await service.get('/')
  await until('the request to be counted', async () => (await lines(service, 'http_request_duration_seconds_count')).length === 1)
  const [series] = service.app.requestDurations.series
  if (!series) return t.fail('no series')
  // Durations of the test's own: 2 ms, 30 ms and a minute instead of the one that was measured.
  for (const bucket of series.buckets) bucket.count = 0
  series.sum = 0
  for (const seconds of [0.002, 0.03, 60]) record(series, seconds)

  const labels = 'method="GET",route="/",status="200"'
  const counts: Array<[le: string, count: number]> = [
    ['0.001', 0], ['0.0025', 1], ['0.005', 1], ['0.01', 1], ['0.025', 1], ['0.05', 2], ['0.1', 2], ['0.25', 2], ['0.5', 2],
    ['1', 2], ['2.5', 2], ['5', 2], ['+Inf', 3]
  ]
  t.strictSame(await lines(service, 'http_request_duration_seconds_bucket'),
    counts.map(([le, count]) => `http_request_duration_seconds_bucket{${labels},le="${le}"} ${count}`))
  t.strictSame(await lines(service, 'http_request_duration_seconds_sum'), [`http_request_duration_seconds_sum{${labels}} 60.032`])
  t.strictSame(await lines(service, 'http_request_duration_seconds_count'), [`http_request_duration_seconds_count{${labels}} 3`])
})

test('sign-ups, sign-ins and refreshes are counted by outcome', async t => {
  const service = await startApp(t)
  const body = { username: 'ann', email: 'ann@example.com', password: PASSWORD }
  await service.post('/api/auth/signup', body)
  await service.post('/api/auth/signup', body)
  await service.post('/api/auth/signin', { username: 'ann', password: 'wrong' })
  await service.post('/api/auth/signin', { username: 'ann' })
  const { refreshToken } = await service.signIn('ann')
  await service.post('/api/auth/refreshtoken', { refreshToken })
  await service.post('/api/auth/refreshtoken', { refreshToken: 'forged' })
  t.strictSame((await lines(service, 'gatehouse_auth_total')).sort(), [
    'gatehouse_auth_total{action="refresh",outcome="REFRESH_TOKEN_UNKNOWN"} 1',
    'gatehouse_auth_total{action="refresh",outcome="success"} 1',
    'gatehouse_auth_total{action="sign_in",outcome="PASSWORD_INVALID"} 1',
    'gatehouse_auth_total{action="sign_in",outcome="VALIDATION_FAILED"} 1',
    'gatehouse_auth_total{action="sign_in",outcome="success"} 1',
    'gatehouse_auth_total{action="sign_up",outcome="USERNAME_TAKEN"} 1',
    'gatehouse_auth_total{action="sign_up",outcome="success"} 1'
  ])
})

test('the resources that requests wait for are read when the metrics are', async t => {
  const service = await startApp(t)
  await service.signUp('ann')
  const { accessToken } = await service.signIn('ann')
  await service.as(accessToken, 'GET', '/api/test/user')
  await service.as(accessToken, 'GET', '/api/test/user')
  const expected = {
    password_hashes_in_progress: 0,
    password_hashes_queued: 0,
    db_pool_waiting: 0,
    session_cache_hits_total: 1,
    session_cache_misses_total: 1,
    session_cache_entries: 1,
    invalidation_listening: 1
  }
  const read = async () => Object.fromEntries(await Promise.all(Object.keys(expected).map(async name =>
    [name, Number((await lines(service, `gatehouse_${name}`))[0]?.split(' ')[1])] as const)))
  t.strictSame(await read(), expected)
  t.strictSame(await read(), expected, 'reading changes nothing')
  t.match(await lines(service, 'gatehouse_db_pool_connections'), [/^gatehouse_db_pool_connections [1-9]$/])
  t.match(await lines(service, 'gatehouse_db_pool_idle'), [/^gatehouse_db_pool_idle [1-9]$/])
})

test('with SESSION_CACHE=off no metric says that invalidations are lost', async t => {
  const service = await startApp(t, { SESSION_CACHE: 'off' })
  for (const name of ['gatehouse_invalidation_listening', 'gatehouse_invalidations_lost_total']) {
    t.strictSame(await lines(service, name), [], name)
  }
  t.strictSame(await lines(service, 'gatehouse_session_cache_entries'), ['gatehouse_session_cache_entries 0'])
})
