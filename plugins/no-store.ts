import fp from 'fastify-plugin'
import { prependHook } from '../src/api/route-hooks.ts'

/**
 * Keeps tokens and personal data out of caches (RFC 6749 §5.1), in the responses of public routes other than GET. The
 * guard does the same for authenticated routes. Public GET routes have nothing to protect.
 */
export default fp(async function noStore (fastify) {
  fastify.addHook('onRoute', route => {
    const isRead = [route.method].flat().every(method => method === 'GET' || method === 'HEAD')
    if (route.config?.access !== 'public' || isRead) return
    prependHook(route, 'onRequest', (_request, reply, done) => {
      reply.header('cache-control', 'no-store')
      done()
    })
  })
}, { name: 'no-store', fastify: '5.x' })
