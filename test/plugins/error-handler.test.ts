import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { sendConnectionError } from '../../plugins/error-handler.ts'
import { signUpBody, startApp } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { until } from '../support/wait.ts'

/** Sends bytes over a socket, and reads the response until the server closes it. */
async function exchange (port: number, bytes: string): Promise<{ head: string, body: unknown }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  return { head, body: JSON.parse(body) as unknown }
}

test('a request that Node\'s parser rejects gets an error response of the contract', async t => {
  const { app } = await startApp(t, { REQUEST_TIMEOUT: 1, HEADERS_TIMEOUT: 1 })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo

  await t.test('a malformed request', async t => {
    const { head, body } = await exchange(port, 'NONSENSE\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.match(head, 'content-type: application/json; charset=utf-8')
    t.match(head, /x-request-id: [0-9a-f-]{36}/)
    t.strictSame(body, { message: 'The request could not be parsed.', code: 'REQUEST_MALFORMED' })
  })

  await t.test('headers beyond MAX_HEADER_SIZE', async t => {
    const { head, body } = await exchange(port, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)
    t.match(head, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/)
    t.strictSame(body, { message: 'The request headers are too large.', code: 'HEADERS_TOO_LARGE' })
  })

  await t.test('a request without Host, which only HTTP/1.0 may send', async t => {
    const { head, body } = await exchange(port, 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.strictSame(body, { message: 'The request could not be parsed.', code: 'REQUEST_MALFORMED' })
    const old = await exchange(port, 'GET / HTTP/1.0\r\n\r\n')
    t.match(old, { head: /^HTTP\/1\.1 200 OK\r\n/, body: { message: 'Welcome to gatehouse.' } })
  })

  await t.test('a value of Expect that nobody knows', async t => {
    const { head, body } = await exchange(port, 'GET / HTTP/1.1\r\nhost: a\r\nexpect: the-best\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 417 Expectation Failed\r\n/)
    t.match(head, /x-request-id: [0-9a-f-]{36}/)
    t.strictSame(body, { message: 'The value of the header Expect is not supported.', code: 'EXPECTATION_FAILED' })
  })

  await t.test('a body that does not arrive in time', async t => {
    const begin = Date.now()
    const { head, body } = await exchange(port,
      'POST /api/auth/signin HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
    t.ok(Date.now() - begin < 10_000, 'sooner than at Node\'s default interval of 30 s')
    t.match(head, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.strictSame(body, { message: 'The request did not arrive in time.', code: 'REQUEST_TIMEOUT' })
  })

  t.equal((await app.inject('/')).statusCode, 200)
})

test('a closed connection is not written to', async t => {
  const written: unknown[] = []
  const send = (error: Error, state: object = {}) => {
    const socket = { writable: true, write: (chunk: unknown) => written.push(chunk), destroySoon: () => {}, ...state }
    sendConnectionError(error, socket as unknown as Socket)
  }
  send(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
  send(new Error('parse'), { destroyed: true })
  send(new Error('parse'), { writable: false })
  t.strictSame(written, [])
  send(new Error('parse'))
  t.equal(written.length, 1)
})

test('a bug is a 500 that hides its cause, and a log line that has it', async t => {
  const { app, logs, post } = await shareApp(t)
  t.intercept(app.passwords, 'hash', { value: async () => { throw new Error('the cause') } })
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 500)
  t.strictSame(response.body, { message: 'Internal server error.', code: 'INTERNAL' })
  t.match(logs.filter(line => line['level'] === 50), [{ err: { type: 'Error', message: 'the cause' }, code: 'INTERNAL' }])
})

test('the error of a statement is logged without the row that PostgreSQL repeats', async t => {
  const { logs, post, sql } = await startApp(t)
  await sql('ALTER TABLE users ADD CONSTRAINT no_alice CHECK (username <> \'alice\')')
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 500)
  t.strictSame(response.body, { message: 'Internal server error.', code: 'INTERNAL' })
  t.match(logs.filter(line => line['level'] === 50),
    [{ err: { code: '23514', constraint: 'no_alice', message: 'PostgreSQL error' } }])
  t.notMatch(JSON.stringify(logs), /alice@example|argon2id/)
})

test('a body that is refused before it has arrived', async t => {
  const { app } = await startApp(t, { BODY_LIMIT: 16_384 })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const post = (path: string, length: number) =>
    `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`

  await t.test('if the rest does not follow, the connection is closed without a second response', async t => {
    const { head, body } = await exchange(port, `${post('/api/auth/signout/all', 100)}{`)
    t.match(head, /^HTTP\/1\.1 403 Forbidden\r\n/)
    t.strictSame(body, { message: 'No token provided!', code: 'ACCESS_TOKEN_MISSING' })
  })

  await t.test('a large one gets its response each time, and the connection stays usable', async t => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    let received = ''
    socket.on('data', chunk => { received += String(chunk) })
    const responses = () => received.match(/HTTP\/1\.1 \d+/g) ?? []
    for (let i = 1; i <= 10; i++) {
      socket.write(post('/api/auth/signin', 5_000_000))
      socket.write(Buffer.alloc(5_000_000, ' '))
      await until(`response ${i}`, () => responses().length === i)
    }
    t.strictSame(new Set(responses()), new Set(['HTTP/1.1 413']))
    socket.destroy()
  })
})
