import { betterAuth } from 'better-auth'
import { fromNodeHeaders } from 'better-auth/node'
import { getMigrations } from 'better-auth/db/migration'
import Fastify from 'fastify'
import pg from 'pg'

// better-auth on Fastify and node-postgres, without its rate limit. With COOKIE_CACHE=on it trusts a signed cookie for
// five minutes instead of asking the database.
const origin = `http://${process.env.HOST}:${process.env.PORT}`
const options = {
  baseURL: origin,
  secret: process.env.JWT_SECRET,
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10, options: '-c search_path=better_auth' }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  session: { cookieCache: { enabled: process.env.COOKIE_CACHE === 'on', maxAge: 300 } },
  user: { additionalFields: { role: { type: 'string', defaultValue: 'admin', input: false } } }
}
await options.database.query('CREATE SCHEMA IF NOT EXISTS better_auth')
const { runMigrations } = await getMigrations(options)
await runMigrations()
const auth = betterAuth(options)

const app = Fastify()
app.get('/', async () => ({}))
app.post('/api/auth/signin', async (_request, reply) => {
  const body = { email: `u${Date.now()}@example.com`, password: 'correct horse', name: 'ada' }
  const { headers } = await auth.api.signUpEmail({ body, returnHeaders: true })
  reply.send({ cookie: headers.getSetCookie().map(cookie => cookie.split(';')[0]).join('; ') })
})
app.get('/api/test/admin', async (request, reply) => {
  const session = await auth.api.getSession({ headers: fromNodeHeaders(request.headers) })
  if (session?.user.role !== 'admin') return reply.code(403).send({})
  return 'Admin Content.'
})
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
