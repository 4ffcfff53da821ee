import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * The package's hook, for requests with an Origin header and for preflights. All others come from no page and are
     * most of an API's load, of which the hook would take near a fifth: plugins/reply-headers.ts keeps it off them.
     */
    answerOrigin: onRequestHookHandler
  }
}

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
  const scope: FastifyInstance = Object.create(fastify, {
    addHook: { value: (_name: 'onRequest', hook: onRequestHookHandler) => fastify.decorate('answerOrigin', hook) }
  })
  cors(scope, allowed, () => {})
}, { name: 'cors', fastify: '5.x' })
