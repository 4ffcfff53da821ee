import fp from 'fastify-plugin'

/** Names every reply's request, so that a user's report finds its log line. */
export default fp(async function requestId (fastify) {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
}, { name: 'request-id', fastify: '5.x' })
