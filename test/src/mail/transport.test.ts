import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { DeliveryError } from '../../../src/mail/delivery-error.ts'
import { createFileTransport, createSmtpTransport } from '../../../src/mail/transport.ts'
import { createFolder } from '../../support/folder.ts'
import { startMailServer } from '../../support/mail-server.ts'

const FROM = { name: '', address: 'accounts@example.com' }

const MESSAGE = {
  id: '5f6d6b1e-6b3f-4c1e-9d0f-2f6f0f6d6b1e', recipient: 'alice@example.com', subject: 'Hello', text: 'Hello.', html: '<p>Hello.</p>'
}

const TIMEOUTS = { connection: 200, idle: 200, attempt: 600 }

/** The code of the error with which a delivery fails. */
const codeOf = async (sending: Promise<object>) => await sending.then(
  () => 'sent',
  (error: unknown) => error instanceof DeliveryError ? error.fields.code : error)

/** A server on which a function writes. */
async function startServer (t: Test, serve: (socket: Socket) => void) {
  const server = createServer(socket => {
    socket.on('error', () => {})
    t.teardown(() => socket.destroy())
    serve(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, secure: false, requireTLS: false }
}

test('a server that says nothing, or stops in the middle, is given up', async t => {
  const silent = await startServer(t, () => {})
  t.equal(await codeOf(createSmtpTransport(silent, FROM, TIMEOUTS).send(MESSAGE)), 'ETIMEDOUT')
  const stopping = await startServer(t, socket => { socket.write('220 hello\r\n') })
  t.equal(await codeOf(createSmtpTransport(stopping, FROM, TIMEOUTS).send(MESSAGE)), 'ETIMEDOUT')
})

test('a server that sends a byte now and then is given up as well', async t => {
  const slow = await startServer(t, socket => {
    const timer = setInterval(() => { socket.write('2') }, 50)
    socket.once('close', () => { clearInterval(timer) })
  })
  const began = Date.now()
  t.equal(await codeOf(createSmtpTransport(slow, FROM, { ...TIMEOUTS, connection: 10_000 }).send(MESSAGE)), 'EABORT')
  const ms = Date.now() - began
  t.ok(ms >= 590 && ms < 3000, `${ms} ms`)
})

test('after abort(), attempts in progress fail, and so do later ones', async t => {
  const silent = await startServer(t, () => {})
  const transport = createSmtpTransport(silent, FROM)
  const sending = transport.send(MESSAGE)
  transport.abort()
  t.equal(await codeOf(sending), 'EABORT')
  t.equal(await codeOf(transport.send(MESSAGE)), 'EABORT')
})

test('an address is never parsed, so it cannot name further recipients', async t => {
  const { port, mails } = await startMailServer(t)
  const transport = createSmtpTransport({ host: '127.0.0.1', port, secure: false, requireTLS: false }, FROM)
  const recipient = 'alice@example.com,bob@example.com'
  const code = await codeOf(transport.send({ ...MESSAGE, recipient }))
  t.strictSame([code, mails.map(({ to }) => to)], ['EENVELOPE', []])
})

test('a mail that is written again replaces its file, also after abort()', async t => {
  const folder = join(await createFolder(t), 'mails')
  const transport = createFileTransport(folder, FROM)
  const file = join(folder, `${MESSAGE.id}.eml`)
  t.strictSame(await transport.send(MESSAGE), { file })
  transport.abort()
  t.strictSame(await transport.send({ ...MESSAGE, subject: 'Again' }), { file })
  t.match(await readFile(file, 'utf8'), /^Subject: Again\r?$/m)
  t.strictSame(await readdir(folder), [`${MESSAGE.id}.eml`])
})
