import fp from 'fastify-plugin'

/**
 * Keeps tokens and personal data out of caches (RFC 6749 §5.1): whatever a guarded route or a public POST answers.
 * Public GETs have nothing to hide.
 */
export default fp(async function noStore (fastify) {
  fastify.addHook('onRoute', route => {
    const reads = [route.method].flat().every(method => method === 'GET' || method === 'HEAD')
    if (route.config?.access === 'public' && reads) return
    route.onRequest = [
      (_request, reply, done) => {
        reply.header('cache-control', 'no-store')
        done()
      },
      ...[route.onRequest ?? []].flat()
    ]
  })
  // After the guard, so that its hook is put before the guard's and refusals carry the header as well.
}, { name: 'no-store', fastify: '5.x', dependencies: ['cors', 'guard'] })
