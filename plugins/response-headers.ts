import fp from 'fastify-plugin'
import { httpsSecurityHeaders, securityHeaders } from '../src/api/security-headers.ts'
import type { Config } from '../src/config/read-settings.ts'

/** Adds the request's id, which its log lines repeat, and the security headers to every response. */
export default fp<{ config: Config }>(async function responseHeaders (fastify, { config }) {
  // Without a trusted proxy, every request comes over plain HTTP.
  const isProxied = config.TRUST_PROXY.length > 0
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
      .headers(isProxied && request.protocol === 'https' ? httpsSecurityHeaders : securityHeaders)
    done()
  })
}, { name: 'response-headers', fastify: '5.x' })
