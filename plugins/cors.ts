import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

/** Lets the pages of the allowed origins call the service; its headers stand on error replies as well. */
export default fp<{ config: Config }>(async function allowedOrigins (fastify, { config }) {
  const origins = config.CORS_ORIGIN
  const allowed: FastifyCorsOptions = {
    origin: origins.includes('*') ? '*' : origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: 'x-access-token, authorization, origin, content-type, accept',
    exposedHeaders: 'x-request-id, retry-after, www-authenticate',
    // Browsers cap it at two hours (Chromium) or a day (Firefox); ten minutes lets a changed list act soon.
    maxAge: 600,
    // An OPTIONS request that is no preflight is harmless: it gets the same 204 instead of a text of its own.
    strictPreflight: false
  }
  // A request without an Origin header comes from no page, and is most of an API's load: all it needs is the word that
  // the answer depends on the header (a shared cache would give it to a page as well). So the package's hook, near a
  // fifth of a trivial route's time, is kept off it.
  const scope: FastifyInstance = Object.create(fastify, {
    addHook: {
      value: (_name: 'onRequest', hook: onRequestHookHandler) => fastify.addHook('onRequest', function (request, reply, done) {
        if (request.headers.origin !== undefined || request.method === 'OPTIONS') {
          hook.call(this, request, reply, done)
        } else {
          if (allowed.origin !== '*') reply.header('vary', 'Origin')
          done()
        }
      })
    }
  })
  cors(scope, allowed, () => {})
}, { name: 'cors', fastify: '5.x' })
