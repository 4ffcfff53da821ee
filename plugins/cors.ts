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
  const isListed = (origin: string) =>
    allowed.has(origin) || (allowed.has('localhost') && LOCALHOST.test(origin))
  /** The `Access-Control-Allow-Origin` of responses to a page; undefined if it is rejected. */
  function allowedOrigin (origin: string): string | undefined {
    // Not the origin itself: every origin is allowed the same, and a cache may then serve a response to all.
    if (allowed.has('*')) return '*'
    return isListed(origin) ? origin : undefined
  }
  const logged = new Set<string>()

  function logRejected (origin: string): void {
    if (logged.has(origin) || logged.size >= MAX_LOGGED) return
    logged.add(origin)
    fastify.log.warn({ origin }, 'rejected a page of this origin; add the origin to CORS_ORIGIN to allow it')
  }

  fastify.decorate('corsHeaders', origin => {
    const value = origin && allowedOrigin(origin)
    return {
      vary: 'Origin',
      ...value && { 'access-control-allow-origin': value, 'access-control-expose-headers': EXPOSED }
    }
  })

  await fastify.register(cors, {
    origin (origin, callback) {
      // Most requests to an API come from no page. Without an origin, the package adds no headers but Vary.
      if (origin === undefined) { callback(null, false); return }
      const value = allowedOrigin(origin)
      if (value === undefined) logRejected(origin)
      // An empty list allows nothing, but unlike `false` it still responds to the preflight.
      callback(null, value ?? [])
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
