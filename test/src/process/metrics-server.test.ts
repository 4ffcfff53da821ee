import { request as sendRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { test, type Test } from 'tap'
import { publishMetrics } from '../../../src/process/metrics-server.ts'
import { configOf, startApp, type TestApp } from '../../support/app.ts'
import { freePort } from '../../support/port.ts'

// test/system/cluster-metrics.test.ts covers the metrics of workers.

/** Publishes the metrics of a service on a port, until the process ends. */
async function publish (t: Test, service: TestApp, port: number): Promise<string> {
  t.teardown(() => { service.app.metrics.clear() })
  await publishMetrics(service.app, configOf(service.url, { METRICS_HOST: '127.0.0.1', METRICS_PORT: port }))
  return `http://127.0.0.1:${port}/metrics`
}

/** Without a connection pool, which would keep the test alive. */
async function request (url: string, method = 'GET') {
  interface Response { status: number | undefined, type: string | undefined, body: string }
  return await new Promise<Response>((resolve, reject) => {
    sendRequest(url, { method, agent: false }, response => {
      const { statusCode: status, headers: { 'content-type': type } } = response
      text(response).then(body => { resolve({ status, type, body }) }, reject)
    }).on('error', reject).end()
  })
}

test('metrics are served on a port of their own', async t => {
  const service = await startApp(t)
  const url = await publish(t, service, await freePort())
  t.match(service.logs.at(-1), { level: 30, msg: `Metrics at ${url}` })

  const { status, type, body } = await request(`${url}?from=prometheus`)
  t.equal(status, 200)
  t.equal(type, 'text/plain; version=0.0.4; charset=utf-8')
  const names = ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds', 'gatehouse_invalidation_listening 1']
  for (const name of names) t.match(body, `\n${name}`, name)

  t.equal((await request(url.replace('/metrics', '/'))).status, 404)
  t.equal((await request(url, 'POST')).status, 404)
  t.equal((await service.get('/metrics')).status, 404, 'not on the public port')
})

test('metrics that cannot be read are a 503 and a log line', async t => {
  const service = await startApp(t)
  const url = await publish(t, service, await freePort())
  t.intercept(service.app.metrics, 'metrics', { value: async () => { throw new Error('a fault') } })
  t.equal((await request(url)).status, 503)
  t.match(service.logs.at(-1), { level: 40, msg: 'the metrics could not be read', err: { message: 'a fault' } })
})

test('a port in use is logged, and does not prevent the start', async t => {
  const [first, second] = [await startApp(t), await startApp(t)]
  const port = await freePort()
  await publish(t, first, port)
  await publish(t, second, port)
  t.match(second.logs.at(-1), {
    level: 40,
    msg: `Metrics are not served: listen EADDRINUSE: address already in use 127.0.0.1:${port}. ` +
      'Set METRICS_PORT to another port, or to 0.'
  })
})

test('METRICS_PORT=0 disables them', async t => {
  const service = await startApp(t)
  const before = service.logs.length
  await publish(t, service, 0)
  t.strictSame(service.logs.slice(before), [])
})
