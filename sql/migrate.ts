import { join } from 'node:path'
import pg from 'pg'
import Postgrator from 'postgrator'

// Any number that nothing else in the database locks; these are the letters "gate".
const LOCK = 0x67617465

/**
 * Brings the database to the newest migration. All of it is one transaction under an advisory lock: replicas that
 * start together wait for the first, and a migration that fails leaves nothing behind.
 * @param connectTimeout seconds until a server that does not answer is given up
 * @returns the files that were applied now
 * @throws where a migration that has run was edited since (its checksum is in the table schemaversion)
 */
export async function migrate (connectionString: string, connectTimeout = 3): Promise<string[]> {
  // A connection of its own: the pool's statement timeout is made for requests.
  const client = new pg.Client({
    connectionString,
    application_name: 'gatehouse migrations',
    connectionTimeoutMillis: connectTimeout * 1000
  })
  // The statement in flight reports a lost connection; without a listener it would end the process as well.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const migrations = new Postgrator({
      driver: 'pg',
      // The pattern is a glob, in which a checkout's own path must stand for itself.
      migrationPattern: join(import.meta.dirname.replace(/[?*()[\]]/g, '[$&]'), 'migrations', '*.sql'),
      newline: 'LF',
      execQuery: text => client.query(text)
    })
    const applied = await migrations.migrate()
    await client.query('COMMIT')
    return applied.map(migration => migration.name)
  } finally {
    await client.end()
  }
}
