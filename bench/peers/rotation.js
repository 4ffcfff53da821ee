import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import jwt from 'jsonwebtoken'
import pg from 'pg'

// The upper bound of a refresh: one statement that exchanges a token for its successor, and one HS256 signature.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 })
await pool.query('CREATE TABLE IF NOT EXISTS bench_tokens (token text PRIMARY KEY, user_id int NOT NULL, expires_at timestamptz NOT NULL) WITH (fillfactor = 70)')
const fresh = () => randomBytes(32).toString('base64url')
const app = Fastify()
app.get('/', async () => ({}))
app.post('/api/auth/signin', async () => {
  const refreshToken = fresh()
  await pool.query('INSERT INTO bench_tokens VALUES ($1, 1, now() + interval \'1 day\')', [refreshToken])
  return { refreshToken }
})
app.post('/api/auth/refreshtoken', async (request, reply) => {
  const refreshToken = fresh()
  const { rows } = await pool.query({
    name: 'rotate',
    text: 'UPDATE bench_tokens SET token = $2 WHERE token = $1 AND expires_at > now() RETURNING user_id',
    values: [request.body.refreshToken, refreshToken]
  })
  if (rows.length === 0) return reply.code(403).send({})
  return { accessToken: jwt.sign({ id: rows[0].user_id, roles: ['user'] }, process.env.JWT_SECRET, { expiresIn: 3600 }), refreshToken }
})
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
