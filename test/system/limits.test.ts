import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from 'node:stream/consumers'
import { test, type Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { startApp } from '../support/app.ts'

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
  const { exchange } = await listen(t, { REQUEST_TIMEOUT: 2, HEADERS_TIMEOUT: 1 })
  const begin = Date.now()
  t.match(await exchange('GET / HTTP/1.1\r\nhost: a\r\n'), /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
  const headers = Date.now() - begin
  t.match(await exchange(`${POST}content-length: 100\r\n\r\n{`), /^HTTP\/1\.1 408 [^]*REQUEST_TIMEOUT/)
  const body = Date.now() - begin - headers
  t.ok(headers >= 1000 && headers < 2900, `${headers} ms`)
  t.ok(body >= 2000 && body < 4500, `${body} ms`)
})

test('a connection between two requests is kept for KEEP_ALIVE_TIMEOUT', async t => {
  const { open } = await listen(t, { KEEP_ALIVE_TIMEOUT: 1 })
  const socket = await open()
  const closed = once(socket, 'close')
  socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(socket, 'data')
  const begin = Date.now()
  await closed
  const ms = Date.now() - begin
  // Node keeps it a second longer than it tells the client, so that no request crosses the close.
  t.ok(ms >= 900 && ms < 4000, `${ms} ms`)
})

test('a client that does not read is cut off', async t => {
  const { app, open } = await listen(t, { CONNECTION_TIMEOUT: 1 })
  const accepted = once(app.server, 'connection')
  const socket = await open()
  const [connection] = await accepted as [Socket]
  socket.pause()
  // More replies than all buffers on the way hold.
  socket.write('GET /docs/json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(400))
  const begin = Date.now()
  await once(connection, 'close')
  t.ok(Date.now() - begin < 10_000)
})

test('more than MAX_CONNECTIONS are closed at once', async t => {
  const { open, exchange } = await listen(t, { MAX_CONNECTIONS: 2 })
  const first = await open()
  await open()
  t.equal(await exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n').catch(() => ''), '')
  first.destroy()
  await sleep(100)
  t.match(await exchange('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'), /^HTTP\/1\.1 200 OK/)
})
