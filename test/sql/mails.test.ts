import pg from 'pg'
import { test } from 'tap'
import { dropTokenMails, markMailSent, queueMail } from '../../sql/mails.ts'
import { createDatabase, sql } from '../support/app.ts'
import { plansOf } from '../support/plans.ts'

test('the mails of a user, and those to an address, are found by their indexes, however many are pending', async t => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query(`WITH created AS (
      INSERT INTO users (username, email) SELECT 'user' || n, 'user' || n || '@example.com'
      FROM generate_series(1, 5000) AS n RETURNING id, email
    ) INSERT INTO mails (kind, recipient, user_id) SELECT 'verification', email, id FROM created`)
  await client.query('VACUUM ANALYZE mails')
  const recipient = 'user7@example.com'
  const mail = { kind: 'verification', recipient, userId: 7, data: {} }
  for (const [statement, expected] of [
    [dropTokenMails(7, [recipient, 'former@example.com']), ['mails_user_id_idx', 'mails_recipient_idx']],
    [queueMail(mail, { max: 5, countsAll: true }), ['mails_recipient_idx']]
  ] as const) {
    const { custom, generic } = await plansOf(client, statement)
    for (const scans of [custom, generic]) {
      t.notOk(scans.some(scan => scan.startsWith('Seq Scan') || scan.includes('next_attempt_at')), scans.join(', '))
      for (const index of expected) t.ok(scans.some(scan => scan.endsWith(index)), `${statement.name}: ${scans.join(', ')}`)
    }
  }
})

test('a mail that is dropped while it is being sent counts as sent', async t => {
  const url = await createDatabase(t)
  const ask = async ({ text, values }: { text: string, values: unknown[] }) =>
    await sql<{ id: string }>(url, text, values)
  const mail = { kind: 'verification', recipient: 'a@example.com', userId: null, data: {} }
  const [first] = await ask(queueMail(mail, { max: 1, countsAll: false }))
  await ask(dropTokenMails(1, [mail.recipient]))
  await ask(markMailSent({ id: String(first?.id), attempts: 1 }))
  t.strictSame(await sql(url, 'SELECT sent_at IS NOT NULL AS sent, dropped_at FROM mails'),
    [{ sent: true, dropped_at: null }])
  t.strictSame(await ask(queueMail(mail, { max: 1, countsAll: false })), [])
})
