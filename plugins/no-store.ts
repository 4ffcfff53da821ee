import fp from 'fastify-plugin'

/**
 * Keeps tokens and personal data out of caches (RFC 6749 §5.1): whatever a public POST answers. The guard does so for
 * guarded routes, in its own hook. Public GETs have nothing to hide.
 */
export default fp(async function noStore (fastify) {
  fastify.addHook('onRoute', route => {
    const reads = [route.method].flat().every(method => method === 'GET' || method === 'HEAD')
    if (route.config?.access !== 'public' || reads) return
    route.onRequest = [
      (_request, reply, done) => {
        reply.header('cache-control', 'no-store')
        done()
      },
      ...[route.onRequest ?? []].flat()
    ]
  })
}, { name: 'no-store', fastify: '5.x', dependencies: ['cors'] })
