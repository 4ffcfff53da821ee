import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { configOf, createDatabase, signUpBody, startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { parseMessage, response, startMailServer } from '../support/mail-server.ts'
import { hurry, logged, MAIL_SETTINGS, notice, queue, rowsOf, settled, startMailApp } from '../support/mails.ts'
import { until } from '../support/wait.ts'

test('a mail has two parts, and the same id at every attempt', async t => {
  let attempts = 0
  const server = await startMailServer(t, { rejectsMessage: () => attempts++ === 0 ? response(451) : undefined })
  const service = await startMailApp(t, server.url, { PRODUCT_NAME: 'Shop & Co' })
  await service.signUp('alice')
  await service.app.mail.queue(service.app.db, { ...notice('alice'), userId: 1 })
  await hurry(service)
  t.strictSame(await settled(service), [{ to: 'alice@example.com', attempts: 2, state: 'sent' }])
  t.equal(server.mails.length, 1)
  const [received] = server.mails
  if (!received) return
  const { headers: { date, 'content-type': type, ...headers }, text, html, isAcknowledged, ...envelope } = received
  t.strictSame(envelope, { from: 'accounts@example.com', to: ['alice@example.com'], isSecure: false, user: undefined })
  const [{ id } = { id: '' }] = await service.sql<{ id: string }>('SELECT id FROM mails')
  t.strictSame(headers, {
    from: 'Example <accounts@example.com>',
    to: 'alice@example.com',
    subject: 'Your password for Shop & Co was changed',
    'message-id': `<${id}@example.com>`,
    'auto-submitted': 'auto-generated',
    'mime-version': '1.0'
  })
  t.match(type, /^multipart\/alternative; /)
  t.match(text, 'The password of alice was changed')
  t.match(text, 'Shop & Co\n')
  t.match(html, 'The password of alice was changed')
  t.match(html, 'Shop &amp; Co')
  const [line] = await logged(service, 'mail sent')
  if (!line) return
  const { time, pid, hostname, ...fields } = line
  t.strictSame(fields, { level: 30, mail: id, kind: 'password-changed', userId: 1, attempts: 2, msg: 'mail sent' })
})

test('a mail of a transaction is sent after its commit, and never if it is rolled back', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url)
  const { db, mail } = service.app
  await t.rejects(db.transaction(async transaction => {
    await mail.queue(transaction, notice('never'))
    throw new Error('rolled back')
  }))
  await db.transaction(async transaction => {
    await mail.queue(transaction, notice('bob'))
    mail.wake()
    await new Promise(resolve => { setTimeout(resolve, 100) })
    t.equal(server.mails.length, 0)
  })
  mail.wake()
  t.strictSame(await settled(service), [{ to: 'bob@example.com', attempts: 1, state: 'sent' }])
  t.strictSame(server.mails.map(({ to }) => to), [['bob@example.com']])
})

test('a preparer creates the variables when the mail is sent, and names the address', async t => {
  const server = await startMailServer(t)
  const service = await startApp(t, { ...MAIL_SETTINGS, MAIL_URL: server.url })
  const { db, mail } = service.app
  mail.prepare('password-reset', async ({ id, recipient, userId, data }, transaction) => {
    const [found] = await transaction.query({ name: 'find', text: 'SELECT 1 AS one', values: [] })
    t.strictSame([found, userId, data], [{ one: 1 }, null, { locale: 'en' }])
    if (recipient.startsWith('nobody')) return undefined
    const link = `https://auth.example.com/reset#${id}`
    return { recipient: recipient.toLowerCase(), variables: { username: 'alice', link, code: '123456' } }
  })
  await mail.queue(db, { kind: 'password-reset', recipient: 'Alice@example.com', data: { locale: 'en' } })
  await mail.queue(db, { kind: 'password-reset', recipient: 'nobody@example.com', data: { locale: 'en' } })
  t.strictSame(await settled(service), [
    { to: 'Alice@example.com', attempts: 1, state: 'sent' }, { to: 'nobody@example.com', attempts: 1, state: 'dropped' }
  ])
  const [{ id } = { id: '' }] = await service.sql<{ id: string }>('SELECT id FROM mails WHERE sent_at IS NOT NULL')
  t.strictSame(server.mails.map(({ to }) => to), [['alice@example.com']])
  t.match(server.mails[0]?.text, `https://auth.example.com/reset#${id}\n`)
  t.match(server.mails[0]?.text, 'enter this code: 123456\n')
  t.match(await logged(service, 'mail dropped'), [{ level: 20, kind: 'password-reset', userId: null }])
})

test('a preparer that fails, or forgets a variable, only delays its mail', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url)
  const { db, mail } = service.app
  let attempts = 0
  mail.prepare('password-reset', async () => {
    attempts++
    if (attempts === 1) throw new TypeError('not yet')
    return { variables: { username: 'alice', link: 'https://auth.example.com/', ...attempts > 2 && { code: '123456' } } }
  })
  await mail.queue(db, { kind: 'password-reset', recipient: 'alice@example.com' })
  await hurry(service)
  await logged(service, 'mail delayed', 2)
  await hurry(service)
  t.strictSame(await settled(service), [{ to: 'alice@example.com', attempts: 3, state: 'sent' }])
  t.match(await logged(service, 'mail delayed'), [
    { level: 40, err: { message: 'not yet' } }, { level: 40, err: { message: 'there is no variable code' } }
  ])
})

test('mails of one kind are limited per address, in any case of the letters', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url, { MAIL_RECIPIENT_LIMIT: 2 })
  const { db, mail } = service.app
  mail.prepare('password-reset', async () => undefined)
  const reset = async (recipient: string) => { await mail.queue(db, { kind: 'password-reset', recipient }) }
  for (const recipient of ['a@example.com', 'A@example.com', 'a@EXAMPLE.com', 'b@example.com']) await reset(recipient)
  await queue(service, 'a', 'a', 'a')
  const rows = await settled(service)
  t.strictSame(rows.map(({ to, state }) => [to, state]), [
    ['a@example.com', 'dropped'], ['A@example.com', 'dropped'], ['b@example.com', 'dropped'],
    ['a@example.com', 'sent'], ['a@example.com', 'sent']
  ], 'those that were dropped count, and kinds are counted apart')
  await service.sql('UPDATE mails SET created_at = created_at - interval \'61 min\'')
  await reset('a@example.com')
  t.equal((await settled(service)).length, 6, 'an hour later')
})

test('a mail whose code resets a counter is sent with a pool of one connection', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url, { DATABASE_POOL_MAX: 1 })
  const { status } = await service.post('/api/auth/signup', signUpBody('bob'))
  t.equal(status, 200)
  t.strictSame(await settled(service), [{ to: 'bob@example.com', attempts: 1, state: 'sent' }])
})

test('a mail is sent even if the tries of its code cannot be reset', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url)
  t.intercept(service.app.codeTries, 'reset', { value: async () => { throw new Error('the counters are down') } })
  await service.post('/api/auth/signup', signUpBody('bob'))
  t.strictSame(await settled(service), [{ to: 'bob@example.com', attempts: 1, state: 'sent' }])
  t.match(service.logs.find(({ msg }) => msg === 'the tries of a code were not reset'), { level: 40 })
})

test('a limit of 0 disables it', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url, { MAIL_RECIPIENT_LIMIT: 0 })
  for (let i = 0; i < 10; i++) {
    await service.app.mail.queue(service.app.db, { kind: 'email-taken', recipient: 'a@example.com', data: { username: 'a' } })
  }
  await settled(service)
  t.equal(server.mails.length, 10)
})

test('without MAIL_URL nothing is queued, and what requires mail is not configured', async t => {
  const service = await startApp(t)
  const { mail } = service.app
  t.equal(mail.isConfigured, false)
  t.throws(() => { mail.requireConfigured() }, {
    code: 'NOT_CONFIGURED', message: 'This is not configured. It requires the setting MAIL_URL.'
  })
  await queue(service, 'alice')
  mail.wake()
  t.strictSame(await rowsOf(service), [])
})

test('with MAIL_URL, what requires mail is configured', async t => {
  const { app: { mail } } = await startMailApp(t, 'smtp://127.0.0.1:1')
  t.equal(mail.isConfigured, true)
  t.doesNotThrow(() => { mail.requireConfigured() })
})

test('the mails of a deleted user are not sent', async t => {
  const server = await startMailServer(t, { rejects: () => response(450) })
  const service = await startMailApp(t, server.url)
  const { db, mail } = service.app
  for (const name of ['alice', 'bob']) await service.signUp(name)
  await mail.queue(db, { ...notice('alice'), userId: 1 })
  await logged(service, 'mail delayed')
  await service.sql('DELETE FROM users WHERE id = 1')
  t.strictSame(await rowsOf(service), [{ to: 'alice@example.com', attempts: 1, state: 'dropped' }])

  await t.test('not even if the user is deleted after the claim', async t => {
    // Deletes the user as soon as the mail is claimed.
    await service.sql(`CREATE FUNCTION delete_user () RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN DELETE FROM users WHERE id = NEW.user_id; RETURN NULL; END';
      CREATE TRIGGER delete_user AFTER UPDATE ON mails FOR EACH ROW EXECUTE FUNCTION delete_user ()`)
    mail.prepare('email-changed', async () => {
      t.fail('the preparer ran')
      return undefined
    })
    await mail.queue(db, { kind: 'email-changed', recipient: 'bob@example.com', userId: 2 })
    await logged(service, 'mail dropped')
    t.strictSame((await rowsOf(service)).at(-1), { to: 'bob@example.com', attempts: 1, state: 'dropped' })
  })
})

test('a mail of a kind that this version does not know is left to another version', async t => {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url)
  await service.sql('INSERT INTO mails (kind, recipient) VALUES (\'invitation\', \'new@example.com\')')
  await queue(service, 'alice')
  await until('the other mail', () => server.mails.length === 1)
  t.strictSame((await rowsOf(service)).filter(({ state }) => state === 'queued'), [
    { to: 'new@example.com', attempts: 0, state: 'queued' }
  ])
})

test('mails that another process queued are found by polling, and counted', async t => {
  const server = await startMailServer(t, { rejects: address => address.startsWith('later') ? response(450) : undefined })
  const service = await startMailApp(t, server.url)
  const metric = async (name: string) => (await service.app.metrics.getSingleMetricAsString(name)).split('\n')
    .filter(line => !line.startsWith('#'))
  await service.sql(`INSERT INTO mails (kind, recipient, data, created_at) VALUES
    ('password-changed', 'alice@example.com', '{"username":"alice"}', now()),
    ('password-changed', 'later@example.com', '{"username":"later"}', now() - interval '100 s')`)
  await until('the mail', () => server.mails.length === 1)
  await logged(service, 'mail delayed')
  t.strictSame((await metric('gatehouse_mails_total')).sort(), [
    'gatehouse_mails_total{result="retried"} 1', 'gatehouse_mails_total{result="sent"} 1'
  ])
  await until('the backlog', async () => (await metric('gatehouse_mails_queued'))[0] === 'gatehouse_mails_queued 1')
  const [line = ''] = await metric('gatehouse_mails_oldest_seconds')
  const seconds = Number(line.split(' ')[1])
  t.ok(seconds >= 100 && seconds < 160, line)
})

test('mails are purged after a day, and those that were not sent after 7 days', async t => {
  const service = await startApp(t, { HOUSEKEEPING_INTERVAL: 0 })
  await service.sql(`INSERT INTO mails (kind, recipient, created_at, sent_at, failed_at, dropped_at)
    SELECT 'verification', outcome || hours || '@example.com', now() - make_interval(hours => hours),
      CASE outcome WHEN 'sent' THEN now() END, CASE outcome WHEN 'failed' THEN now() END, CASE outcome WHEN 'dropped' THEN now() END
    FROM unnest(ARRAY[23, 25, 169]) AS hours, unnest(ARRAY['sent', 'failed', 'dropped', 'queued']) AS outcome`)
  t.equal(await service.app.purge(), 6)
  t.strictSame((await service.sql<{ recipient: string }>('SELECT recipient FROM mails ORDER BY 1')).map(({ recipient }) => recipient), [
    'dropped23@example.com', 'failed23@example.com', 'failed25@example.com', 'queued23@example.com', 'queued25@example.com',
    'sent23@example.com'
  ])
})

test('two instances share the mails, and none is sent twice', async t => {
  const server = await startMailServer(t)
  const one = await startMailApp(t, server.url)
  const two = await startMailApp(t, server.url, { DATABASE_URL: one.url })
  await one.sql(`INSERT INTO mails (kind, recipient, data)
    SELECT 'password-changed', 'user' || n || '@example.com', '{"username":"user"}' FROM generate_series(1, 100) AS n`)
  for (const { app } of [one, two]) app.mail.wake()
  t.ok((await settled(one)).every(({ attempts, state }) => attempts === 1 && state === 'sent'))
  t.equal(server.mails.length, 100)
  t.equal(new Set(server.mails.map(({ headers }) => headers['message-id'])).size, 100)
  const sent = async (count: number) => await until('the log lines', () => [one, two]
    .map(({ logs }) => logs.filter(line => line.msg === 'mail sent').length).reduce((a, b) => a + b) === count)
  await sent(100)
  for (const service of [one, two]) t.ok(service.logs.some(line => line.msg === 'mail sent'))
})

test('MAIL_URL=files writes mails to files that only their owner can read, and logs their links', async t => {
  const DATA_DIR = await createFolder(t)
  const service = await startMailApp(t, 'files', { DATA_DIR })
  const { db, mail } = service.app
  const link = 'https://auth.example.com/verify#token'
  mail.prepare('verification', async () => ({ variables: { username: 'alice', link, code: '123456' } }))
  await mail.queue(db, { kind: 'verification', recipient: 'alice@example.com' })
  const [line] = await logged(service, 'mail sent')
  const folder = join(DATA_DIR, 'mails')
  const file = join(folder, `${String(line?.['mail'])}.eml`)
  t.match(line, { level: 30, kind: 'verification', file, link })
  t.strictSame(await readdir(folder), [`${String(line?.['mail'])}.eml`])
  t.strictSame([(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777], [0o700, 0o600])
  const { headers, text, html } = parseMessage(await readFile(file, 'utf8'))
  t.equal(headers['to'], 'alice@example.com')
  t.match(text, `${link}\n`)
  t.match(html, `<a href="${link}"`)
  await settled(service)
  await service.app.close()
})

test('the service does not start without what mails need', async t => {
  const url = await createDatabase(t)
  const starting = async (overrides: object) =>
    await buildApp(configOf(url, { ...MAIL_SETTINGS, ...overrides }), { write () {} })
  await t.rejects(starting({ MAIL_URL: 'files', MAIL_FROM: undefined }), { message: 'MAIL_FROM is missing or invalid.' })
  await t.rejects(starting({ MAIL_URL: 'smtp://host', MAIL_TEMPLATES: '/nowhere' }),
    { message: 'The folder /nowhere of MAIL_TEMPLATES cannot be read: ENOENT' })
})

test('an instance that closes before it is ready sends nothing', async t => {
  const server = await startMailServer(t)
  const url = await createDatabase(t)
  const first = await startApp(t, { DATABASE_URL: url })
  await first.sql(`INSERT INTO mails (kind, recipient, data)
    VALUES ('password-changed', 'alice@example.com', '{"username": "alice"}')`)
  const app = await buildApp(configOf(url, { ...MAIL_SETTINGS, MAIL_URL: server.url }), { write () {} })
  await app.close()
  t.strictSame(await rowsOf(first), [{ to: 'alice@example.com', attempts: 0, state: 'queued' }])
  t.strictSame(server.mails, [])
})
