import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test, type Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { startApp } from '../support/app.ts'
import { until } from '../support/wait.ts'

/**
 * Milliseconds within which every limit below ends a connection. The margin over its second or two is for other load on
 * the machine. The defaults of Node.js (checks every 30 s) and of the service (30 s, 72 s) would take longer.
 */
const SOON = 20_000

async function listen (t: Test, overrides: Partial<Config>) {
  const service = await startApp(t, overrides)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = service.app.server.address() as AddressInfo
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  /** Sends bytes and reads until the server closes. */
  const exchange = async (bytes: string) => {
    const socket = await open()
    socket.write(bytes)
    return await text(socket)
  }
  return { ...service, open, exchange }
}

const POST = 'POST /api/auth/signin HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n'

test('sizes of a request', async t => {
  const { post, exchange } = await listen(t, { BODY_LIMIT: 2048, MAX_HEADER_SIZE: 4096 })
  const signIn = (length: number) => JSON.stringify({ username: 'ann', password: 'x'.repeat(length) })
  t.match(await post('/api/auth/signin', signIn(3000)), { status: 413, body: { code: 'BODY_TOO_LARGE' } })
  t.match(await post('/api/auth/signin', signIn(100)), { status: 404, body: { code: 'USER_NOT_FOUND' } })
  t.match(await exchange(`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(5000)}\r\n\r\n`), /^HTTP\/1\.1 431 /)
})

test('times of a request', async t => {
  const { exchange } = await listen(t, { REQUEST_TIMEOUT: 3, HEADERS_TIMEOUT: 1 })
  const begin = performance.now()
  const measure = async (bytes: string) => ({ response: await exchange(bytes), ms: performance.now() - begin })
  const [headers, body] = await Promise.all([
    measure('GET / HTTP/1.1\r\nhost: a\r\n'), measure(`${POST}content-length: 100\r\n\r\n{`)
  ])
  for (const { response } of [headers, body]) t.match(response, /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
  t.ok(headers.ms >= 1000, `headers ${headers.ms} ms`)
  t.ok(body.ms >= 3000, `body ${body.ms} ms`)
  t.ok(headers.ms < body.ms, 'the shorter limit comes first')
  t.ok(body.ms < SOON, `body ${body.ms} ms`)
})

test('a connection between two requests is kept open for KEEP_ALIVE_TIMEOUT', async t => {
  const { open } = await listen(t, { KEEP_ALIVE_TIMEOUT: 1 })
  const socket = await open()
  const closed = once(socket, 'close')
  const begin = performance.now()
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(socket, 'data')
  await closed
  const ms = performance.now() - begin
  t.ok(ms >= 1000 && ms < SOON, `${ms} ms`)
})

test('a client that does not read the response is disconnected', async t => {
  const { app, open } = await listen(t, { CONNECTION_TIMEOUT: 1, DOCS: 'on' })
  const accepted = once(app.server, 'connection')
  const socket = await open()
  const [connection] = await accepted as [Socket]
  socket.pause()
  // More responses than all buffers on the way hold.
  socket.write('GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(400))
  const begin = performance.now()
  await once(connection, 'close')
  const ms = performance.now() - begin
  t.ok(ms < SOON, `${ms} ms`)
})

test('a connection beyond MAX_CONNECTIONS is closed at once', async t => {
  const { open, exchange } = await listen(t, { MAX_CONNECTIONS: 2 })
  const first = await open()
  await open()
  const ask = async () => await exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n').catch(() => '')
  t.equal(await ask(), '')
  first.destroy()
  await until('the service to see that one is closed', async () => (await ask()).startsWith('HTTP/1.1 200 OK'))
})

test('a connection beyond MAX_CONNECTIONS_PER_ADDRESS is closed at once, and other addresses are served', async t => {
  const { app, logs, open, exchange } = await listen(t, { MAX_CONNECTIONS_PER_ADDRESS: 2 })
  const first = await open()
  await open()
  const ask = async () => await exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n').catch(() => '')
  t.equal(await ask(), '')
  t.equal(await ask(), '')
  t.match(logs.filter(line => line['event'] === 'excess_rate_limit_exceeded'), [{ ip: '127.0.0.1', connections: 2 }])

  const { port } = app.server.address() as AddressInfo
  const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
  other.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  t.match(await text(other), /^HTTP\/1\.1 200 OK/)
  first.destroy()
  await until('the service to see that one is closed', async () => (await ask()).startsWith('HTTP/1.1 200 OK'))
})

test('the connections of a trusted proxy, and all with 0, have no limit of their own', async t => {
  for (const settings of [
    { MAX_CONNECTIONS_PER_ADDRESS: 1, TRUST_PROXY: ['127.0.0.0/8'] }, { MAX_CONNECTIONS_PER_ADDRESS: 0 }
  ]) {
    const { open, exchange } = await listen(t, settings)
    await open()
    await open()
    t.match(await exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 200 OK/)
  }
})
