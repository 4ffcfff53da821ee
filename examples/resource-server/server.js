import Fastify from 'fastify'
import verify from 'gatehouse/verify'

const {
  GATEHOUSE = 'http://localhost:8080', JWT_ISSUER, JWT_AUDIENCE = 'orders', JWKS_MAX_AGE = '300', HOST = 'localhost', PORT = '3000'
} = process.env

const app = Fastify({ logger: true })

await app.register(verify, {
  gatehouse: GATEHOUSE, issuer: JWT_ISSUER, audience: JWT_AUDIENCE, maxAge: Number(JWKS_MAX_AGE)
})

app.get('/', { config: { access: 'public' } }, async () => ({ message: 'The public catalogue.' }))

app.get('/orders', { config: { access: 'signed-in' } }, async request => ({ message: `The orders of user ${request.claims.id}.` }))

app.get('/stock', { config: { access: 'moderator or admin' } }, async () => ({ message: 'The items in stock.' }))

app.delete('/orders/:id', { config: { access: 'admin' } }, async request => ({ message: `Order ${request.params.id} was deleted.` }))

await app.listen({ host: HOST, port: Number(PORT) })
