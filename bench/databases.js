import pg from 'pg'

export async function connect (url) {
  const client = new pg.Client({ connectionString: url })
  // The failing statement reports the error. Without a listener, the event would end the process first.
  client.on('error', () => {})
  await client.connect()
  return client
}

/**
 * Creates a database.
 * @param {import('../dist/src/process/embedded-postgres.js').EmbeddedPostgres} postgres
 * @param {string} name
 * @returns {Promise<string>} its URL
 */
export async function createDatabase (postgres, name) {
  const client = await connect(postgres.url())
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  return postgres.url(name)
}
