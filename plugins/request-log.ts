import fp from 'fastify-plugin'
import { clientAddress } from '../src/api/client-address.ts'
import type { Config } from '../src/config/read-settings.ts'

/** Logs one line per request, after its response, if LOG_LEVEL is debug or lower. */
export default fp<{ config: Config }>(async function requestLog (fastify, { config }) {
  if (!['debug', 'trace'].includes(config.LOG_LEVEL)) return
  fastify.addHook('onResponse', (request, reply, done) => {
    request.log.debug({
      method: request.method,
      // The route, not the URL, which may contain a secret.
      route: request.routeOptions.url,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime * 10) / 10,
      ip: clientAddress(request)
    }, 'request completed')
    done()
  })
}, { name: 'request-log', fastify: '5.x' })
