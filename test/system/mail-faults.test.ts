import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type Test, test } from 'tap'
import { PASSWORD } from '../support/app.ts'
import { selfSigned } from '../support/certificate.ts'
import { response, startMailServer } from '../support/mail-server.ts'
import { hurry, logged, queue, rowsOf, settled, startMailApp } from '../support/mails.ts'
import { until } from '../support/wait.ts'

const ALICE = 'alice@example.com'

/** The fields of a log line that describe what went wrong. */
const reasonOf = ({ code, command, responseCode }: Record<string, unknown>) => ({ code, command, responseCode })

/** A server that accepts connections and never says anything. */
async function startSilentServer (t: Test) {
  let connections = 0
  const server = createServer(socket => {
    connections++
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections }
}

for (const [what, rule] of [
  ['the recipient', { rejects: () => response(550, `5.1.1 <${ALICE}> unknown`) }],
  ['the message', { rejectsMessage: () => response(554, `5.7.1 spam for ${ALICE}`) }]
] as const) {
  test(`a server that rejects ${what} for good ends the mail at once, and the log does not repeat the address`, async t => {
    const server = await startMailServer(t, rule)
    const service = await startMailApp(t, server.url)
    await queue(service, 'alice')
    t.strictSame(await settled(service), [{ to: ALICE, attempts: 1, state: 'failed' }])
    const [line = { msg: '' }] = await logged(service, 'mail failed')
    t.equal(line['level'], 50)
    t.strictSame(reasonOf(line), what === 'the recipient'
      ? { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 550 }
      : { code: 'EMESSAGE', command: 'DATA', responseCode: 554 })
    t.notMatch(JSON.stringify(service.logs), /alice@|5\.[17]\.1/)
  })
}

test('a server that asks to try again later (greylisting) gets the mail later', async t => {
  let attempts = 0
  const server = await startMailServer(t, { rejects: () => attempts++ === 0 ? response(450) : undefined })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  const [line = { msg: '' }] = await logged(service, 'mail delayed')
  t.strictSame(reasonOf(line), { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 450 })
  t.ok(Number(line['seconds']) >= 15 && Number(line['seconds']) <= 45)
  await hurry(service)
  t.strictSame(await settled(service), [{ to: ALICE, attempts: 2, state: 'sent' }])
})

test('a mail that could not be sent for a day has failed', async t => {
  const server = await startMailServer(t, { rejects: () => response(450) })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  await logged(service, 'mail delayed')
  await service.sql('UPDATE mails SET created_at = now() - interval \'24 h\'')
  await hurry(service)
  t.strictSame(await settled(service), [{ to: ALICE, attempts: 2, state: 'failed' }])
})

test('wrong credentials only delay mails, and are not logged', async t => {
  let password = 'right'
  const server = await startMailServer(t, {
    authOptional: false,
    allowInsecureAuth: true,
    onAuth (auth, _session, done) {
      if (auth.password === password) done(null, { user: auth.username })
      else done(response(535, `5.7.8 no such user ${auth.username}`))
    }
  })
  const url = new URL(server.url)
  url.username = 'relay-user'
  url.password = 'p@ss:word'
  const service = await startMailApp(t, url.href)
  await queue(service, 'alice')
  const [line = { msg: '' }] = await logged(service, 'mail delayed')
  t.strictSame(reasonOf(line), { code: 'EAUTH', command: 'AUTH PLAIN', responseCode: 535 })
  password = 'p@ss:word'
  await hurry(service)
  await settled(service)
  t.strictSame(server.mails.map(({ user }) => user), ['relay-user'])
  t.notMatch(JSON.stringify(service.logs), /relay-user|p@ss|p%40ss/)
})

test('a certificate that is not trusted delays mails, and nothing is sent without TLS', async t => {
  for (const secure of [true, false]) {
    const server = await startMailServer(t, { ...selfSigned('localhost'), secure, disabledCommands: [] })
    const service = await startMailApp(t, `${secure ? 'smtps' : 'smtp'}://localhost:${server.port}`)
    await queue(service, 'alice')
    t.match((await logged(service, 'mail delayed')).map(reasonOf), [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }])
    t.strictSame(server.mails, [])
  }
})

test('a server that is not on this machine has to offer STARTTLS', async t => {
  const server = await startMailServer(t)
  // Linux connects 0.0.0.0 to this machine, but it is not a loopback address.
  const service = await startMailApp(t, server.url.replace('127.0.0.1', '0.0.0.0'))
  await queue(service, 'alice')
  t.strictSame((await logged(service, 'mail delayed')).map(reasonOf), [{ code: 'ETLS', command: 'STARTTLS', responseCode: 500 }])
  t.strictSame(server.mails, [])
})

test('a server that dies in the middle of a message gets it again once it is back', async t => {
  const server = await startMailServer(t, {
    onData (stream, _session, done) {
      stream.resume()
      server.kill().catch(done)
    }
  })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  t.match((await logged(service, 'mail delayed')).map(reasonOf), [{ code: /^(ECONNECTION|ECONNRESET)$/, responseCode: undefined }])
  await hurry(service)
  t.match((await logged(service, 'mail delayed', 2)).map(reasonOf), [{}, { code: 'ECONNREFUSED', command: 'CONN' }])
  const again = await startMailServer(t, { port: server.port })
  await hurry(service)
  t.strictSame(await settled(service), [{ to: ALICE, attempts: 3, state: 'sent' }])
  t.equal(again.mails.length, 1)
})

test('a server that hangs takes five connections, slows no request, and does not hold up the close', async t => {
  const server = await startSilentServer(t)
  const service = await startMailApp(t, server.url, { SHUTDOWN_GRACE: 1 })
  await service.signUp('alice')
  await queue(service, ...'abcdefgh')
  await until('five connections', () => server.connections() === 5)
  const began = Date.now()
  await queue(service, 'i')
  t.equal((await service.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 200)
  t.ok(Date.now() - began < 1000)
  const closing = Date.now()
  await service.app.close()
  t.ok(Date.now() - closing < 3000)
  t.equal(server.connections(), 5)
  const delayed = await logged(service, 'mail delayed')
  t.strictSame(delayed.map(reasonOf), Array.from({ length: 5 }, () => ({ code: 'EABORT', command: undefined, responseCode: undefined })))
  t.strictSame((await rowsOf(service)).map(({ attempts, state }) => [attempts, state]), [
    ...Array.from({ length: 5 }, () => [1, 'queued']), ...Array.from({ length: 4 }, () => [0, 'queued'])
  ])
})

test('a mail that is being sent is finished before the close', async t => {
  const server = await startMailServer(t, {
    onMailFrom (_address, _session, done) { setTimeout(done, 300) }
  })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  await until('the connection', () => server.connections() === 1)
  await service.app.close()
  t.equal(server.mails.length, 1)
  t.strictSame(await rowsOf(service), [{ to: ALICE, attempts: 1, state: 'sent' }])
})

test('while the database fails, mails wait, and one that was sent is not sent again', async t => {
  const server = await startMailServer(t, {
    onMailFrom (_address, _session, done) {
      service.sql('ALTER TABLE mails RENAME TO elsewhere').then(() => { done() }, done)
    }
  })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  await until('the mail', () => server.mails.length === 1)
  await logged(service, 'mails cannot be claimed')
  await service.sql('ALTER TABLE elsewhere RENAME TO mails')
  t.strictSame(await settled(service), [{ to: ALICE, attempts: 1, state: 'sent' }])
  t.equal(server.mails.length, 1)
})

test('an outcome that cannot be stored does not hold up the close', async t => {
  const server = await startMailServer(t, {
    onMailFrom (_address, _session, done) {
      service.sql('ALTER TABLE mails RENAME TO elsewhere').then(() => { done() }, done)
    }
  })
  const service = await startMailApp(t, server.url)
  await queue(service, 'alice')
  await until('the mail', () => server.mails.length === 1)
  await service.app.close()
  t.match(await logged(service, 'the outcome of a mail was not stored'), [{ level: 40, kind: 'password-changed', attempts: 1 }])
})
