import { test } from 'tap'
import { PASSWORD, startApp, type TestApp } from '../support/app.ts'
import { until } from '../support/wait.ts'

/** The lines of one figure. */
const lines = async ({ app }: TestApp, name: string): Promise<string[]> =>
  (await app.metrics.metrics()).split('\n').filter(line => line.startsWith(`${name}{`) || line.startsWith(`${name} `))

test('requests are counted by route and status, never by what stood in the URL', async t => {
  const service = await startApp(t)
  await service.get('/api/test/all')
  await service.get('/API/test/ALL/')
  await service.get('/api/test/user')
  await service.get('/nowhere/at-all')
  await service.as('no token', 'PUT', '/a-secret')
  const counted = async () => (await lines(service, 'http_request_duration_seconds_count')).map(line => Number(line.split(' ')[1]))
  await until('five responses to be counted', async () => (await counted()).reduce((a, b) => a + b, 0) === 5)
  t.strictSame(await lines(service, 'http_request_duration_seconds_count'), [
    'http_request_duration_seconds_count{method="GET",route="/api/test/all",status="200"} 2',
    'http_request_duration_seconds_count{method="GET",route="/api/test/user",status="403"} 1',
    'http_request_duration_seconds_count{method="any",route="none",status="404"} 2'
  ])
})

test('how long they took stands in buckets that add up', async t => {
  const service = await startApp(t)
  await service.signUp('ann')
  await service.signIn('ann')
  await until('the response to be counted', async () => (await lines(service, 'http_request_duration_seconds_count')).length === 1)
  const buckets = (await lines(service, 'http_request_duration_seconds_bucket')).map(line => Number(line.split(' ').at(-1)))
  t.equal(buckets.length, 13)
  t.strictSame([...buckets].sort((a, b) => a - b), buckets)
  t.equal(buckets.at(-1), 1)
  const [sum = ''] = await lines(service, 'http_request_duration_seconds_sum')
  t.ok(Number(sum.split(' ').at(-1)) > 0)
  const [metric] = await service.app.metrics.getMetricsAsJSON()
  t.match(metric, { name: 'http_request_duration_seconds', type: 'histogram', aggregator: 'sum' })
})

test('one that takes longer than any bucket is counted all the same', async t => {
  const service = await startApp(t)
  const { routeOptions } = Object({ routeOptions: { config: {}, url: '/slow' } })
  service.app.requestMetrics.count(Object({ routeOptions, method: 'GET' }), Object({ statusCode: 200, elapsedTime: 60_000 }))
  const buckets = (await lines(service, 'http_request_duration_seconds_bucket')).map(line => line.split(' ').at(-1))
  t.strictSame(buckets, [...new Array<string>(12).fill('0'), '1'])
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

test('what requests wait for is read when it is asked for', async t => {
  const service = await startApp(t)
  await service.signUp('ann')
  const { accessToken } = await service.signIn('ann')
  await service.as(accessToken, 'GET', '/api/test/user')
  await service.as(accessToken, 'GET', '/api/test/user')
  const names = ['password_hashes_running', 'password_hashes_waiting', 'database_waiting', 'authority_recalled_total',
    'authority_looked_up_total', 'authority_remembered', 'authority_listening']
  const figures = async () => Object.fromEntries(await Promise.all(names.map(async name =>
    [name, Number((await lines(service, `gatehouse_${name}`))[0]?.split(' ')[1])])))
  const wanted = {
    password_hashes_running: 0,
    password_hashes_waiting: 0,
    database_waiting: 0,
    authority_recalled_total: 1,
    authority_looked_up_total: 1,
    authority_remembered: 1,
    authority_listening: 1
  }
  t.strictSame(await figures(), wanted)
  t.strictSame(await figures(), wanted, 'reading changes nothing')
  t.match(await lines(service, 'gatehouse_db_pool_connections'), [/^gatehouse_db_pool_connections [1-9]$/])
  t.match(await lines(service, 'gatehouse_db_pool_idle'), [/^gatehouse_db_pool_idle [1-9]$/])
})
