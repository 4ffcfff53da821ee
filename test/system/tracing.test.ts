import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { PASSWORD, startApp } from '../support/app.ts'

interface Span {
  name: string
  traceId: string
  spanId: string
  parentSpanId?: string
  status: { code?: number }
}

/** The body of a request to /v1/traces (OTLP over HTTP, as JSON). */
interface Traces {
  resourceSpans: Array<{ scopeSpans: Array<{ spans: Span[] }> }>
}

test('requests and their statements are sent to the collector, without secrets', async t => {
  const received: string[] = []
  const collector = createServer((request, response) => {
    text(request).then(body => {
      received.push(`${request.method} ${request.url} ${body}`)
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    }, () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  t.teardown(() => collector.close())

  const { app, post, signUp, signIn, as } = await startApp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  })
  await signUp('ann')
  const { accessToken, refreshToken } = await signIn('ann')
  t.equal((await as(accessToken, 'GET', '/api/test/user?search=somebody')).status, 200)
  t.equal((await post('/api/auth/signin', { username: 'bob', password: 'wrong password' })).status, 404)
  const before = received.length
  await app.close()
  t.ok(received.length > before, 'the close sends the remaining spans')

  t.ok(received.every(line => line.startsWith('POST /v1/traces ')))
  const spans = received.map(line => JSON.parse(line.slice(line.indexOf('{'))) as Traces)
    .flatMap(({ resourceSpans }) => resourceSpans).flatMap(({ scopeSpans }) => scopeSpans).flatMap(scope => scope.spans)
  const load = spans.find(span => span.name === 'credentials_by_username')
  t.ok(load, 'a statement is a span with its name')
  const trace = spans.filter(span => span.traceId === load?.traceId)
  t.ok(trace.some(span => span.spanId === load?.parentSpanId), 'its parent is the span of the request')
  t.ok(trace.some(span => span.name === 'insert_session'))
  t.ok(received.some(line => line.includes('"/api/test/user"')), 'the path')
  t.ok(trace.some(span => span.name === 'request'), trace.map(span => span.name).join())
  for (const secret of [accessToken, refreshToken, PASSWORD, 'wrong password', '$argon2id$', 'SELECT', 'bob', 'somebody']) {
    t.notOk(received.some(line => line.includes(secret)), secret)
  }
})

test('a failed statement and an unreachable collector do not affect the service', async t => {
  const { app, get } = await startApp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9/' })
  await t.rejects(app.db.query({ name: 'bad', text: 'SELECT 1 / $1::int', values: [0] }), { code: '22012' })
  t.equal((await get('/health/ready')).status, 200)
  const begin = performance.now()
  await app.close()
  t.ok(performance.now() - begin < 5000, 'nor does the collector delay the close for long')
})
