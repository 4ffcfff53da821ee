import Fastify from 'fastify'
import jwt from '@fastify/jwt'

// The usual way to verify an access token with Fastify: no session, no role.
const app = Fastify()
await app.register(jwt, { secret: process.env.JWT_SECRET, verify: { extractToken: request => request.headers['x-access-token'] } })
app.get('/', async () => ({}))
app.post('/api/auth/signin', async () => ({ accessToken: app.jwt.sign({ id: 1, roles: ['user'] }, { expiresIn: 3600 }) }))
app.get('/api/test/user', { onRequest: async request => { await request.jwtVerify() } }, (_request, reply) => { reply.send('User Content.') })
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
