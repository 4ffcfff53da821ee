import cors from '@fastify/cors'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'

/** Lets the pages of the allowed origins call the service; its headers stand on error replies as well. */
export default fp<{ config: Config }>(async function allowedOrigins (fastify, { config }) {
  const origins = config.CORS_ORIGIN
  await fastify.register(cors, {
    origin: origins.includes('*') ? '*' : origins,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: ['x-access-token', 'authorization', 'origin', 'content-type', 'accept'],
    exposedHeaders: ['x-request-id', 'retry-after', 'www-authenticate'],
    // Browsers cap it at two hours (Chromium) or a day (Firefox); ten minutes lets a changed list act soon.
    maxAge: 600,
    // An OPTIONS request that is no preflight is harmless: it gets the same 204 instead of a text of its own.
    strictPreflight: false
  })
}, { name: 'cors', fastify: '5.x' })
