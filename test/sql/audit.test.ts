import pg from 'pg'
import { test } from 'tap'
import { selectAuditEvents } from '../../sql/audit.ts'
import { createDatabase } from '../support/app.ts'
import { plansOf } from '../support/plans.ts'

const EVENTS = 50_000

test('every page of audit events is read from the index for its filters, also a rare event or user', async t => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  // One event in a hundred has a user and a kind that were not seen since.
  await client.query(`INSERT INTO audit_events (event, user_id)
    SELECT CASE WHEN n <= $1 / 100 THEN 'user_deleted' WHEN n % 2 = 0 THEN 'user_created' ELSE 'user_updated' END,
      CASE WHEN n <= $1 / 100 THEN 9 ELSE n % 3 END
    FROM generate_series(1, $1::int) AS n`, [EVENTS])
  await client.query('VACUUM ANALYZE audit_events')
  const indexes = [
    [{}, 'audit_events_pkey'],
    [{ user: 1 }, 'audit_events_user_id_idx'],
    [{ user: 9 }, 'audit_events_user_id_idx'],
    [{ event: 'user_created' }, 'audit_events_event_idx'],
    [{ event: 'user_deleted' }, 'audit_events_event_idx'],
    [{ user: 1, event: 'user_created' }, 'audit_events_user_id_event_idx'],
    [{ user: 9, event: 'user_deleted' }, 'audit_events_user_id_event_idx'],
    [{ user: 1, event: 'user_deleted' }, 'audit_events_user_id_event_idx']
  ] as const
  for (const [filter, index] of indexes) {
    for (const before of [undefined, EVENTS / 2]) {
      const query = selectAuditEvents({ before, user: undefined, event: undefined, limit: 100, ...filter })
      const scans = [`Index Scan of ${index}`]
      t.strictSame(await plansOf(client, query), { custom: scans, generic: scans }, JSON.stringify(query.values))
    }
  }
})
