import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createDatabase, sql } from '../support/app.ts'

const folder = join(import.meta.dirname, '..', '..', 'sql', 'migrations')

/** A database with the first migrations, which `fill` writes to, and then with all others. */
async function migrateFrom (t: Test, count: number, fill: string): Promise<string> {
  const url = await createDatabase(t, 'template0')
  const migrations = readdirSync(folder).sort().map(name => readFileSync(join(folder, name), 'utf8'))
  for (const text of [...migrations.slice(0, count), fill, ...migrations.slice(count)]) await sql(url, text)
  return url
}

test('0004 moves the hashes of all users to their credentials', async t => {
  const url = await migrateFrom(t, 3, `INSERT INTO users (username, email, password_hash, created_at) VALUES
    ('ann', 'a@example.com', '$argon2id$ann', '2026-01-02Z'), ('bob', 'b@example.com', '$argon2id$bob', '2026-03-04Z')`)
  t.strictSame(await sql(url, `SELECT user_id::int, kind, data, version, created_at, last_used_at FROM credentials
    ORDER BY user_id`), [
    { user_id: 1, data: { hash: '$argon2id$ann' }, created_at: new Date('2026-01-02') },
    { user_id: 2, data: { hash: '$argon2id$bob' }, created_at: new Date('2026-03-04') }
  ].map(({ created_at: createdAt, ...row }) =>
    ({ ...row, created_at: createdAt, kind: 'password', version: 1, last_used_at: null })))
  t.strictSame(await sql(url, `SELECT column_name FROM information_schema.columns
    WHERE table_name = 'users' AND column_name LIKE 'password%'`), [])
})

test('0005 makes no session fresh: each was authenticated when it began', async t => {
  const url = await migrateFrom(t, 4, `INSERT INTO users (username, email) VALUES ('ann', 'a@example.com');
    INSERT INTO refresh_tokens (user_id, id, created_at, expires_at, ip)
    VALUES (1, gen_random_uuid(), now() - interval '3 h', now() + interval '1 h', '127.0.0.1')`)
  const read = async () => await sql(url, `SELECT authenticated_at = created_at AS "fromCreation",
    authenticated_at > now() - interval '1 min' AS fresh, amr FROM refresh_tokens ORDER BY created_at`)
  t.strictSame(await read(), [{ fromCreation: true, fresh: false, amr: ['pwd'] }])
  await sql(url, `INSERT INTO refresh_tokens (user_id, id, expires_at, ip)
    VALUES (1, gen_random_uuid(), now() + interval '1 h', '127.0.0.1')`)
  t.match(await read(), [{ fresh: false }, { fresh: true }])
  for (const amr of ['{}', '{password}', '{pwd,NULL}']) {
    await t.rejects(sql(url, 'UPDATE refresh_tokens SET amr = $1', [amr]), { code: '23514' }, amr)
  }
})

test('0010 creates the index of searches, unless the table of users has more than 128 MiB', async t => {
  const index = 'SELECT to_regclass(\'users_search_idx\') IS NOT NULL AS exists'
  t.strictSame(await sql(await migrateFrom(t, 9, ''), index), [{ exists: true }])
  // The lowest fill factor leaves room for two of these rows in a page.
  const large = await migrateFrom(t, 9, `ALTER TABLE users SET (fillfactor = 10);
    INSERT INTO users (username, email) SELECT lpad(n::text, 64, 'x'), lpad(n || '@example.com', 254, 'x')
    FROM generate_series(1, 34000) AS n`)
  t.strictSame(await sql(large, 'SELECT pg_relation_size(\'users\') > 128 * 1024 * 1024 AS "isLarge"'), [{ isLarge: true }])
  t.strictSame(await sql(large, index), [{ exists: false }])
})

test('0011 keeps an index that was created before, while the service ran', async t => {
  const oid = 'SELECT \'audit_events_user_id_event_idx\'::regclass::oid::int AS oid'
  const url = await migrateFrom(t, 9, `
    CREATE INDEX audit_events_user_id_event_idx ON audit_events (user_id, event, id);
    CREATE TABLE before AS ${oid}`)
  t.strictSame(await sql(url, oid), await sql(url, 'SELECT oid FROM before'))
})

test('0012 drops the mails of users who are deleted, and keeps their rows', async t => {
  const url = await migrateFrom(t, 11, `INSERT INTO users (username, email) VALUES ('ann', 'a@example.com'), ('bob', 'b@example.com');
    INSERT INTO mails (kind, recipient, user_id, data, sent_at) VALUES
      ('password-changed', 'a1@example.com', 1, '{"username": "ann"}', now()),
      ('password-changed', 'a2@example.com', 1, '{"username": "ann"}', NULL),
      ('password-changed', 'b@example.com', 2, '{"username": "bob"}', NULL)`)
  await sql(url, 'DELETE FROM users WHERE id = 1')
  t.strictSame(await sql(url, `SELECT recipient, user_id::int, data, sent_at IS NOT NULL AS sent, dropped_at IS NOT NULL AS dropped
    FROM mails ORDER BY recipient`), [
    { recipient: 'a1@example.com', user_id: null, data: { username: 'ann' }, sent: true, dropped: false },
    { recipient: 'a2@example.com', user_id: null, data: {}, sent: false, dropped: true },
    { recipient: 'b@example.com', user_id: 2, data: { username: 'bob' }, sent: false, dropped: false }
  ])
})
