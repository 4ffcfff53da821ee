import pg from 'pg'
import { test } from 'tap'
import { dropTokenMails, queueMail } from '../../sql/mails.ts'
import { createDatabase } from '../support/app.ts'
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
