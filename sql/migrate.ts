import { join } from 'node:path'
import pg from 'pg'
import Postgrator from 'postgrator'

// An arbitrary number that nothing else in the database locks: the letters "gate".
const LOCK = 0x67617465

/**
 * Applies the pending migrations, in one transaction under an advisory lock: replicas that start together wait for the
 * first one, and a failed migration leaves nothing behind.
 * @param connectTimeout seconds to wait for the server
 * @returns the names of the applied migrations
 * @throws Error if an applied migration was edited since (its checksum is in the table schemaversion)
 */
export async function migrate (connectionString: string, connectTimeout = 3): Promise<string[]> {
  // Not a connection of the pool, whose statement timeout is meant for requests.
  const client = new pg.Client({
    connectionString,
    application_name: 'gatehouse migrations',
    connectionTimeoutMillis: connectTimeout * 1000
  })
  // The pending statement reports a lost connection. Without a listener the event would also end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const migrations = new Postgrator({
      driver: 'pg',
      // The pattern is a glob, so special characters in the path of the checkout are escaped.
      migrationPattern: join(import.meta.dirname.replace(/[?*()[\]]/g, '[$&]'), 'migrations', '*.sql'),
      newline: 'LF',
      execQuery: async text => await client.query(text)
    })
    const applied = await migrations.migrate()
    await client.query('COMMIT')
    return applied.map(migration => migration.name)
  } finally {
    await client.end()
  }
}
