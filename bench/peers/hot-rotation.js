import { randomBytes } from 'node:crypto'
import jwt from '@fastify/jwt'
import Fastify from 'fastify'
import pg from 'pg'

// The upper bound of a refresh that stores its token: one prepared UPDATE by a primary key in the token, and one HS256
// signature. No indexed column changes, so the update is HOT. Nothing is counted, logged or validated.
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, idleTimeoutMillis: 60_000 })
await pool.query(`CREATE TABLE tokens (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, secret text NOT NULL,
  user_id bigint NOT NULL, roles text[] NOT NULL, expires_at timestamptz NOT NULL) WITH (fillfactor = 70)`)
const ROTATE = `UPDATE tokens SET secret = $3 WHERE id = $1 AND secret = $2 AND expires_at > now()
  RETURNING user_id AS id, roles`
const newSecret = () => randomBytes(32).toString('base64url')

const app = Fastify()
await app.register(jwt, { secret: process.env.JWT_SECRET, sign: { expiresIn: 3600 } })
app.get('/', async () => ({}))
app.post('/api/auth/signin', async () => {
  const secret = newSecret()
  const { rows: [{ id }] } = await pool.query(`INSERT INTO tokens (secret, user_id, roles, expires_at)
    VALUES ($1, 1, '{user}', now() + interval '1 day') RETURNING id`, [secret])
  return { refreshToken: `${id}.${secret}` }
})
app.post('/api/auth/refreshtoken', async (request, reply) => {
  const [id, presented] = request.body.refreshToken.split('.')
  const secret = newSecret()
  const { rows } = await pool.query({ name: 'rotate', text: ROTATE, values: [id, presented, secret] })
  if (rows.length === 0) return reply.code(403).send({})
  return { accessToken: app.jwt.sign(rows[0]), refreshToken: `${id}.${secret}` }
})
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
