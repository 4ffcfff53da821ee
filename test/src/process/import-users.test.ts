import { test } from 'tap'
import { importAll, type ImportReport } from '../../../src/process/import-users.ts'
import type { SourceRow } from '../../../src/process/import-source.ts'
import { sql } from '../../support/app.ts'
import { CLASSIC_HASH } from '../../support/classic.ts'
import { shareApp } from '../../support/shared-app.ts'

async function * sourceOf (...names: string[]): AsyncGenerator<SourceRow[]> {
  yield names.map((username, index) => ({
    place: `line ${index + 1}`,
    value: { id: index + 1, username, email: `${username}@example.com`, password: CLASSIC_HASH, roles: ['user'] }
  }))
}

const options = { apply: true, wrap: undefined, onProgress: () => {} }

test('a name that is taken between the check and the write is a conflict, and the others are written', async t => {
  const { app, url } = await shareApp(t)
  const db: typeof app.db = {
    ...app.db,
    async transaction (work) {
      await sql(url, 'INSERT INTO users (username, email) VALUES (\'BOB\', \'robert@example.com\')')
      return await app.db.transaction(work)
    }
  }
  const report: ImportReport = {
    read: 3,
    imported: 1,
    present: 0,
    conflicts: 2,
    wrapped: 0,
    listed: [
      'line 1, user 1: the id, username or e-mail address was taken meanwhile',
      'line 2, user 2: the id, username or e-mail address was taken meanwhile'
    ]
  }
  t.strictSame(await importAll(db, sourceOf('ann', 'bob', 'cat'), options), report)
  t.strictSame(await sql(url, `SELECT username, role_id FROM users LEFT JOIN user_roles ON user_id = id
    ORDER BY id`), [{ username: 'BOB', role_id: null }, { username: 'cat', role_id: 1 }])
})

test('if a batch fails, nothing of it is written', async t => {
  const { app, url } = await shareApp(t)
  await sql(url, 'ALTER TABLE audit_events ADD CONSTRAINT none CHECK (user_id <> 2)')
  t.teardown(async () => await sql(url, 'ALTER TABLE audit_events DROP CONSTRAINT none'))
  await t.rejects(importAll(app.db, sourceOf('ann', 'bob'), options), { message: /violates check constraint "none"/ })
  t.strictSame(await sql(url, 'SELECT FROM users'), [])
  t.strictSame(await sql(url, 'SELECT FROM audit_events'), [])
})

test('a source without users', async t => {
  const { app } = await shareApp(t)
  t.strictSame(await importAll(app.db, sourceOf(), options),
    { read: 0, imported: 0, present: 0, conflicts: 0, wrapped: 0, listed: [] })
})
