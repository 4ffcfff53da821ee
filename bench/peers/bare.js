import Fastify from 'fastify'

// The upper bound of every test endpoint: one route, one text, nothing else.
const app = Fastify()
app.get('/', async () => ({}))
app.get('/api/test/all', (_request, reply) => { reply.send('Public Content.') })
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
