import pg from 'pg'

export async function connect (url) {
  const client = new pg.Client({ connectionString: url })
  // The failing statement reports the error. Without a listener, the event would end the process first.
  client.on('error', () => {})
  await client.connect()
  return client
}
