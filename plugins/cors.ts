import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'

/** Any origin on the local machine. */
const LOCALHOST = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/

/** Maximum number of rejected origins that are logged, each once: anybody can send any number of them. */
const MAX_LOGGED = 100

declare module 'fastify' {
  interface FastifyInstance {
    /** The CORS headers of an error response to a URL that Fastify rejects before it runs any hook. */
    corsHeaders (origin: string | undefined): Record<string, string>
  }
}

const EXPOSED = 'x-request-id, retry-after, www-authenticate'

/** Lets the pages of the allowed origins call the service. Error responses have the headers too. */
export default fp<{ config: Config }>(async function allowOrigins (fastify, { config }) {
  const allowed = new Set(config.CORS_ORIGIN)
  const isAllowed = (origin: string) =>
    allowed.has(origin) || (allowed.has('localhost') && LOCALHOST.test(origin))
  const logged = new Set<string>()

  function logRejected (origin: string): void {
    if (logged.has(origin) || logged.size >= MAX_LOGGED) return
    logged.add(origin)
    fastify.log.warn({ origin }, 'rejected a page of this origin; add the origin to CORS_ORIGIN to allow it')
  }

  fastify.decorate('corsHeaders', origin => origin !== undefined && isAllowed(origin)
    ? { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED }
    : { vary: 'Origin' })

  await fastify.register(cors, {
    origin (origin, callback) {
      // Most requests to an API come from no page. Without an origin, the package adds no headers but Vary.
      if (origin === undefined) { callback(null, false); return }
      // Not the origin itself: every origin is allowed the same, and a cache may then serve a response to all.
      if (allowed.has('*')) { callback(null, '*'); return }
      if (isAllowed(origin)) { callback(null, true); return }
      logRejected(origin)
      // An empty list allows nothing, but unlike `false` it still responds to the preflight.
      callback(null, [])
    },
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: 'x-access-token, authorization, origin, content-type, accept',
    exposedHeaders: EXPOSED,
    // Seconds. Browsers allow up to two hours (Chromium) or a day (Firefox); a changed list takes effect sooner.
    maxAge: 600,
    // Responds 204 to a preflight without Access-Control-Request-Method too, instead of a 400 with a text body.
    strictPreflight: false
  })
  // response-headers: its hook has to run first, because the one of @fastify/cors responds to a preflight.
}, { name: 'cors', fastify: '5.x', dependencies: ['response-headers'] })
