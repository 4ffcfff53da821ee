import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { openDevelopmentDatabase } from '../../src/process/development-mode.ts'
import { createDatabase, SECRET, sql } from '../support/app.ts'
import { selfSigned } from '../support/certificate.ts'
import { createFolder } from '../support/folder.ts'
import { type ReceivedMail, startMailServer } from '../support/mail-server.ts'
import { makeDue, MAIL_SETTINGS, rowsOf, startMailApp } from '../support/mails.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const COUNT = 1000

/** Queues a mail as another process would. */
const queueNotice = async (url: string) => await sql(url, `INSERT INTO mails (kind, recipient, data)
  VALUES ('password-changed', 'alice@example.com', '{"username":"alice"}')`)

const idOf = ({ headers }: ReceivedMail): string => String(headers['message-id'])

test('1,000 mails of two instances all arrive, although the mail server is killed twice', { timeout: 180_000 }, async t => {
  let server = await startMailServer(t)
  const servers = [server]
  const received = () => servers.flatMap(({ mails }) => mails)
  const one = await startMailApp(t, server.url, { LOG_LEVEL: 'info' })
  const two = await startMailApp(t, server.url, { LOG_LEVEL: 'info', DATABASE_URL: one.url })
  await one.sql(`INSERT INTO mails (kind, recipient, data)
    SELECT 'password-changed', 'user' || n || '@example.com', '{"username":"user"}' FROM generate_series(1, $1) AS n`, [COUNT])
  for (const { app } of [one, two]) app.mail.wake()
  for (const count of [300, 600]) {
    await until(`${count} mails`, () => received().length >= count, 60_000)
    await server.kill()
    // Attempts fail in the meantime.
    await until('a failed attempt', () => [one, two].some(({ logs }) => logs.some(line => line['code'] === 'ECONNREFUSED')))
    server = await startMailServer(t, { port: server.port })
    servers.push(server)
  }
  await until('all mails to be sent', async () => {
    await makeDue(one, two)
    return (await rowsOf(one)).every(({ state }) => state === 'sent')
  }, 120_000)
  const counts = new Map<string, number>()
  for (const mail of received()) counts.set(idOf(mail), (counts.get(idOf(mail)) ?? 0) + 1)
  t.equal(counts.size, COUNT)
  const twice = [...counts].filter(([, count]) => count > 1).map(([id]) => id)
  const [first, second] = servers
  const unacknowledged = [...first?.mails ?? [], ...second?.mails ?? []].filter(mail => !mail.isAcknowledged).map(idOf)
  t.strictSame(twice.filter(id => !unacknowledged.includes(id)), [], 'none twice that the service knew to be sent')
  const { length: failures } = [one, two].flatMap(({ logs }) => logs).filter(line => line.msg === 'mail delayed')
  t.comment(`${twice.length} mails arrived twice, ${failures} attempts failed`)
})

for (const secure of [true, false]) {
  const protocol = secure ? 'TLS' : 'STARTTLS'
  test(`mails are sent over ${protocol}, with credentials, to a server that NODE_EXTRA_CA_CERTS trusts`, async t => {
    const { key, cert } = selfSigned('localhost')
    const server = await startMailServer(t, {
      key,
      cert,
      secure,
      disabledCommands: [],
      authOptional: false,
      onAuth ({ username, password }, _session, done) {
        done(password === 'p@ss:word' ? null : new Error('wrong'), { user: username })
      }
    })
    const cwd = await createFolder(t)
    await writeFile(join(cwd, 'ca.crt'), cert)
    const url = await createDatabase(t)
    const { MAIL_FROM, PUBLIC_URL } = MAIL_SETTINGS
    const service = runServer(t, {
      cwd,
      env: {
        ...CHEAP,
        DATABASE_URL: url,
        JWT_SECRET: SECRET,
        MAIL_URL: `${secure ? 'smtps' : 'smtp'}://relay:p%40ss%3Aword@localhost:${server.port}`,
        MAIL_FROM,
        PUBLIC_URL,
        NODE_EXTRA_CA_CERTS: join(cwd, 'ca.crt')
      }
    })
    await service.address()
    await queueNotice(url)
    const [mail] = await until('the mail', () => server.mails.length > 0 && server.mails)
    t.match(mail, { isSecure: true, user: 'relay', to: ['alice@example.com'] })
    service.child.kill('SIGTERM')
    t.equal(await service.ended, 0)
    t.strictSame(service.warnings(), [])
  })
}

test('development mode writes mails to files, with workers as well', { timeout: 120_000 }, async t => {
  const cwd = await createFolder(t)
  const service = runServer(t, { cwd, env: { ...CHEAP, WORKERS: '2' } })
  await service.address()
  const { settings } = await openDevelopmentDatabase(join(cwd, '.gatehouse'), { share: true })
  await queueNotice(settings.DATABASE_URL)
  const folder = join(cwd, '.gatehouse', 'mails')
  const [file = ''] = await until('the mail', async () => {
    const names = await readdir(folder).catch(() => [])
    return names.some(name => name.endsWith('.eml')) && names
  })
  t.match(await readFile(join(folder, file), 'utf8'), 'Subject: Your password for gatehouse was changed')
  service.child.kill('SIGTERM')
  t.equal(await service.ended, 0)
})
