import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { startApp } from '../support/app.ts'

const POLICY = 'default-src \'none\';frame-ancestors \'none\''
const HSTS = 'strict-transport-security'

test('every response has the security headers, even if Fastify itself rejects the request', async t => {
  const { app, post, get } = await startApp(t)
  t.intercept(app.passwords, 'hash', { value: async () => { throw new Error('the cause') } })
  const responses = {
    200: await get('/'),
    400: await get('/%zz'),
    403: await get('/api/test/user'),
    404: await get('/nowhere'),
    413: await post('/api/auth/signin', 'x'.repeat(20_000)),
    500: await post('/api/auth/signup', { username: 'ann', email: 'ann@example.com', password: 'correct horse' })
  }
  for (const [status, { status: actual, headers }] of Object.entries(responses)) {
    t.equal(String(actual), status)
    t.equal(headers['content-security-policy'], POLICY, status)
    t.equal(headers['x-content-type-options'], 'nosniff', status)
    t.equal(headers[HSTS], undefined, status)
  }
})

test('the response to what Node\'s parser rejects has them too', async t => {
  const { app } = await startApp(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('NONSENSE\r\n\r\n')
  t.match(await text(socket), `content-security-policy: ${POLICY}\r\nx-content-type-options: nosniff\r\n`)
})

test('Strict-Transport-Security is sent only if a trusted proxy says that the request came over HTTPS', async t => {
  const https = { 'x-forwarded-proto': 'https' }
  const { get } = await startApp(t, { TRUST_PROXY: ['loopback'] })
  t.equal((await get('/', https)).headers[HSTS], 'max-age=31536000')
  t.equal((await get('/')).headers[HSTS], undefined)
  const direct = await startApp(t)
  t.equal((await direct.get('/', https)).headers[HSTS], undefined, 'a client may claim anything')
})
