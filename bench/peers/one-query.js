import Fastify from 'fastify'
import pg from 'pg'

// The upper bound of asking the database on each request: one prepared query by primary key.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, idleTimeoutMillis: 60_000 })
await pool.query('CREATE TABLE users (id int PRIMARY KEY, username text NOT NULL)')
await pool.query('INSERT INTO users VALUES (1, \'ada\')')
const app = Fastify()
app.get('/', async () => ({}))
app.get('/api/test/admin', async (_request, reply) => {
  const { rows } = await pool.query({ name: 'user', text: 'SELECT id, username FROM users WHERE id = $1', values: [1] })
  if (rows.length === 0) reply.code(401)
  return 'Admin Content.'
})
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
