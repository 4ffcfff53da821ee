import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

/** What every reply says: which request it answers, so that a user's report finds its log line, and how to treat it. */
export default fp<{ config: Config }>(async function replyHeaders (fastify, { config }) {
  const { overHttp, overHttps } = fastify.securityHeaders
  // Who does not come through a trusted proxy comes by HTTP.
  const proxied = config.TRUST_PROXY.length > 0
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).headers(proxied && request.protocol === 'https' ? overHttps : overHttp)
    done()
  })
}, { name: 'reply-headers', fastify: '5.x', dependencies: ['security-headers'] })
