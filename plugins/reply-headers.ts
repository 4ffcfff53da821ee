import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

/**
 * What every reply says: which request it answers, so that a user's report finds its log line, and how to treat it.
 * One hook for all, since each one more costs every request.
 */
export default fp<{ config: Config }>(async function replyHeaders (fastify, { config }) {
  const { answerOrigin, securityHeaders } = fastify
  // Also where no page asks: a shared cache could give the answer to one.
  const vary = config.CORS_ORIGIN.includes('*') ? {} : { vary: 'Origin' }
  const overHttp = { ...securityHeaders.overHttp, ...vary }
  const overHttps = { ...securityHeaders.overHttps, ...vary }
  // Who does not come through a trusted proxy comes by HTTP.
  const proxied = config.TRUST_PROXY.length > 0
  fastify.addHook('onRequest', function (request, reply, done) {
    reply.header('x-request-id', request.id).headers(proxied && request.protocol === 'https' ? overHttps : overHttp)
    if (request.headers.origin === undefined && request.method !== 'OPTIONS') done()
    else answerOrigin.call(this, request, reply, done)
  })
}, { name: 'reply-headers', fastify: '5.x', dependencies: ['cors', 'security-headers'] })
