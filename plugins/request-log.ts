import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

/** One line per request at level debug, when the reply is out. At a higher level the hook does not exist. */
export default fp<{ config: Config }>(async function requestLog (fastify, { config }) {
  if (!['debug', 'trace'].includes(config.LOG_LEVEL)) return
  fastify.addHook('onResponse', (request, reply, done) => {
    request.log.debug({
      method: request.method,
      // The pattern, not the URL: a person may have put a secret in there.
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ip: request.ip
    }, 'request answered')
    done()
  })
}, { name: 'request-log', fastify: '5.x' })
