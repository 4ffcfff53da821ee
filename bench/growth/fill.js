import { migrate } from '../../dist/sql/migrate.js'
import { connect } from '../databases.js'
import { rows } from './rows.js'

const TABLES = `SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
  AND relname NOT IN ('roles', 'schemaversion')`

// Building an index at once is several times as fast as inserting into it row by row. An index that is not ready is
// not written to, and REINDEX makes it ready again.
const SUSPEND_INDEXES = `UPDATE pg_index SET indisready = false WHERE indrelid IN (${TABLES})`

// A check with a bounded repetition, such as {3,64}, takes longer than the rest of an insertion. Each is added again
// as it was, for the rows of the statements that are timed.
const FIND_CHECKS = `SELECT conrelid::regclass AS table, conname AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint WHERE contype = 'c' AND conrelid IN (${TABLES})`

/**
 * Creates the rows for a number of users in a migrated database. Two connections build the
 * indexes; that of the searches of users takes longest, so it is begun first.
 * @returns seconds
 */
export async function fill (url, size) {
  const begin = performance.now()
  await migrate(url)
  const client = await connect(url)
  const { rows: checks } = await client.query(FIND_CHECKS)
  const { rows: tables } = await client.query(`SELECT oid::regclass AS name FROM (${TABLES}) AS filled
    ORDER BY oid::regclass = 'users'::regclass DESC`)
  for (const { table, name } of checks) await client.query(`ALTER TABLE ${table} DROP CONSTRAINT ${name}`)
  await client.query('BEGIN')
  // Neither triggers nor foreign keys: the rows are right by construction.
  await client.query('SET LOCAL session_replication_role = replica')
  // With wal_level = minimal, rows of tables that are truncated in the same transaction need no write-ahead log.
  await client.query(`TRUNCATE ${tables.map(({ name }) => name).join(', ')}`)
  // After TRUNCATE, which makes indexes ready.
  await client.query(SUSPEND_INDEXES)
  for (const statement of rows(size)) await client.query(statement)
  await client.query('COMMIT')
  for (const { table, name, definition } of checks) {
    await client.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition} NOT VALID`)
  }
  await Promise.all([client, await connect(url)].map(async each => {
    for (let table = tables.shift(); table; table = tables.shift()) await each.query(`REINDEX TABLE ${table.name}`)
    if (each !== client) await each.end()
  }))
  await client.query('VACUUM (ANALYZE)')
  await client.end()
  return (performance.now() - begin) / 1000
}
