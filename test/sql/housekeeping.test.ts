import pg from 'pg'
import { test } from 'tap'
import {
  purgeAuditEvents, purgeChallenges, purgeCounters, purgeEmailTokens, purgeKeys, purgeMails, purgeNetworks,
  purgeSessions, purgeUnverifiedUsers
} from '../../sql/housekeeping.ts'
import { createDatabase } from '../support/app.ts'
import { addExpired } from '../support/expired.ts'
import { plansOf } from '../support/plans.ts'

const BATCH = 100

const purges = [
  [purgeSessions(BATCH), 'refresh_tokens_expires_at_idx'],
  [purgeKeys(BATCH), 'api_keys_expires_at_idx'],
  [purgeCounters(BATCH), 'rate_limits_expire_idx'],
  [purgeNetworks(BATCH), 'known_networks_last_seen_at_idx'],
  [purgeMails(BATCH), 'mails_created_at_idx'],
  [purgeEmailTokens(BATCH), 'email_tokens_expires_at_idx'],
  [purgeChallenges(BATCH), 'challenges_expires_at_idx'],
  [purgeAuditEvents(BATCH, 90), 'audit_events_created_at_idx'],
  [purgeUnverifiedUsers(BATCH), 'users_unverified_until_idx']
] as const

test('every purge finds its rows by an index that has their order', async t => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  await client.query(`INSERT INTO users (username, email) SELECT 'user' || n, 'user' || n || '@example.com'
    FROM generate_series(1, 10) AS n`)
  await addExpired(client)
  for (const [purge, index] of purges) {
    const { custom } = await plansOf(client, purge)
    t.ok(custom.includes(`Index Scan of ${index}`), `${purge.name}: ${custom.join(', ')}`)
    t.notOk(custom.some(scan => /^(Sort|Seq Scan)/.test(scan)), purge.name)
    await client.query('BEGIN')
    t.strictSame((await client.query(purge.text, purge.values)).rows, [{ count: BATCH }], purge.name)
    await client.query('ROLLBACK')
  }
})
