import pg from 'pg'

/**
 * Creates a database.
 * @param {import('../dist/src/process/embedded-postgres.js').EmbeddedPostgres} postgres
 * @param {string} name
 * @returns {Promise<string>} its URL
 */
export async function createDatabase (postgres, name) {
  const client = new pg.Client({ connectionString: postgres.url() })
  await client.connect()
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  return postgres.url(name)
}
