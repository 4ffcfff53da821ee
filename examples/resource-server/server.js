import Fastify from 'fastify'
import guard from './guard.js'

const {
  GATEHOUSE = 'http://localhost:8080', JWT_ISSUER, JWT_AUDIENCE = 'orders', JWKS_MAX_AGE = '300', HOST = 'localhost', PORT = '3000'
} = process.env

const app = Fastify({ logger: true })

await app.register(guard, {
  gatehouse: GATEHOUSE, issuer: JWT_ISSUER, audience: JWT_AUDIENCE, maxAge: Number(JWKS_MAX_AGE)
})

app.get('/', { config: { roles: 'public' } }, async () => ({ message: 'The public catalogue.' }))

app.get('/orders', { config: { roles: [] } }, async request => ({ message: `The orders of user ${request.caller.id}.` }))

app.get('/stock', { config: { roles: ['moderator', 'admin'] } }, async () => ({ message: 'The items in stock.' }))

app.delete('/orders/:id', { config: { roles: ['admin'] } }, async request => ({ message: `Order ${request.params.id} was deleted.` }))

await app.listen({ host: HOST, port: Number(PORT) })
