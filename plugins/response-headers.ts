import fp from 'fastify-plugin'
import { httpsSecurityHeaders, securityHeaders } from '../src/api/security-headers.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'

/**
 * Adds the request's id, which its log lines repeat, and the security headers to every response, and rejects requests
 * without a host.
 */
export default fp<{ config: Config }>(async function responseHeaders (fastify, { config }) {
  // Without a trusted proxy, every request comes over plain HTTP.
  const isProxied = config.TRUST_PROXY.length > 0
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
      .headers(isProxied && request.protocol === 'https' ? httpsSecurityHeaders : securityHeaders)
    // RFC 9112 §3.2; HTTP/1.0 has no Host header. Checked here, since a hook of its own would cost more.
    const lacksHost = request.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(lacksHost ? new ApiError('REQUEST_MALFORMED') : undefined)
  })
}, { name: 'response-headers', fastify: '5.x' })
