import swagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { describe, securitySchemes, tags } from '../src/openapi.ts'

/** Wherever the document was fetched from. x-internal: not for the company's own network only (an OWASP rule asks). */
const server = { url: '/', 'x-internal': false }

/** Where plugins/docs.ts serves the document and its page. */
export const PAGE = '/docs'

/**
 * Describes the service as OpenAPI 3.1, from the schemas that judge its requests and replies. It loads before `replies`
 * and `guard` and yet sees what they add: routes are kept as they are declared and read when the document is asked for.
 */
export default fp<{ config: Config }>(async function openapi (fastify, { config }) {
  if (config.DOCS === 'off') return
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'gatehouse',
        version: '0.1.0',
        summary: 'Signs users up and in, and says who may enter.',
        description: 'Every error is `{ message, code }`: compare `code`, show `message`. Paths match in any case.',
        license: { name: 'MIT', identifier: 'MIT' },
        contact: { name: 'gatehouse' }
      },
      servers: [server],
      tags,
      components: { securitySchemes }
    },
    transform: ({ route, url }) => ({ url, schema: describe(route) })
  })

  // The routes of the page's package do not say who may enter, and without that the guard stops the boot.
  fastify.addHook('onRoute', route => {
    if (route.url !== PAGE && !route.url.startsWith(`${PAGE}/`)) return
    route.config = { access: 'public', ...route.config }
    route.schema = { ...route.schema, hide: true }
  })
}, { name: 'openapi', fastify: '5.x' })
