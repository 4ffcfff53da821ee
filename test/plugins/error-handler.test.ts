import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { sendConnectionError } from '../../plugins/error-handler.ts'
import { signUpBody, startApp } from '../support/app.ts'

/** Sends bytes as they are and reads until the server closes. */
async function exchange (port: number, bytes: string): Promise<{ head: string, body: unknown }> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(bytes)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  return { head, body: JSON.parse(body) }
}

test('what Node\'s parser refuses is answered in the contract\'s shape', async t => {
  const { app } = await startApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo

  await t.test('a malformed request', async t => {
    const { head, body } = await exchange(port, 'NONSENSE\r\n\r\n')
    t.match(head, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.match(head, 'content-type: application/json; charset=utf-8')
    t.match(head, /x-request-id: [0-9a-f-]{36}/)
    t.strictSame(body, { message: 'The request could not be read.', code: 'REQUEST_MALFORMED' })
  })

  await t.test('headers over Node\'s limit', async t => {
    const { head, body } = await exchange(port, `GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`)
    t.match(head, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/)
    t.strictSame(body, { message: 'The headers are too large.', code: 'HEADERS_TOO_LARGE' })
  })

  await t.test('a body that does not come is cut within 7 s', async t => {
    const begin = Date.now()
    const { head, body } = await exchange(port,
      'POST /api/auth/signin HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
    t.ok(Date.now() - begin < 7000)
    t.match(head, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.strictSame(body, { message: 'The request did not arrive in time.', code: 'REQUEST_TIMEOUT' })
  })

  t.equal((await app.inject('/')).statusCode, 200)
})

test('a connection that is gone is not written to', async t => {
  const written: unknown[] = []
  const socket = (state: object) => Object({ writable: true, write: (chunk: unknown) => written.push(chunk), destroySoon: () => {}, ...state })
  const { app } = await startApp(t)
  const answer = sendConnectionError.bind(app)
  answer(Object.assign(new Error('reset'), { code: 'ECONNRESET' }), socket({}))
  answer(new Error('parse'), socket({ destroyed: true }))
  answer(new Error('parse'), socket({ writable: false }))
  t.strictSame(written, [])
  answer(new Error('parse'), socket({}))
  t.equal(written.length, 1)
})

test('a fault of ours is a 500 that hides its cause, and a log line that tells it', async t => {
  const { app, logs, post } = await startApp(t)
  t.intercept(app.passwords, 'hash', { value: async () => { throw new Error('the cause') } })
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 500)
  t.strictSame(response.body, { message: 'Something went wrong on our side.', code: 'INTERNAL' })
  t.match(logs.filter(line => line['level'] === 50), [{ err: { type: 'Error', message: 'the cause' }, code: 'INTERNAL' }])
})

test('a statement\'s fault is logged without the row that PostgreSQL repeats', async t => {
  const { logs, post, sql } = await startApp(t)
  await sql('ALTER TABLE users ADD CONSTRAINT no_alice CHECK (username <> \'alice\')')
  const response = await post('/api/auth/signup', signUpBody('alice'))
  t.equal(response.status, 500)
  t.strictSame(response.body, { message: 'Something went wrong on our side.', code: 'INTERNAL' })
  t.match(logs.filter(line => line['level'] === 50), [{ err: { code: '23514', constraint: 'no_alice', message: 'PostgreSQL refused a statement' } }])
  t.notMatch(JSON.stringify(logs), /alice@example|argon2id/)
})
