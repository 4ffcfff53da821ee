import { performance } from 'node:perf_hooks'
import Fastify from 'fastify'
import reference from 'argon2'

// The upper bound of a sign-in: verifications at gatehouse's default cost and nothing else, two at a time.
const { verify } = await import(process.env.PACKAGE)
const hash = await reference.hash('correct horse', {
  type: reference.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1
})
const app = Fastify()
app.get('/', async () => ({}))
app.get('/verifications', async request => {
  const until = performance.now() + Number(request.query.seconds) * 1000
  let verified = 0
  await Promise.all([1, 2].map(async () => {
    while (performance.now() < until) {
      await verify(hash, 'correct horse')
      verified++
    }
  }))
  return { verified }
})
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) })
