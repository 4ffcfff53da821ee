import fp from 'fastify-plugin'
import { describe } from '../src/api/openapi.ts'
import { securitySchemes, sortPaths, tags } from '../src/api/openapi-components.ts'
import type { Config } from '../src/config/read-settings.ts'

/** The origin of the document. `x-internal: false` is required by an OWASP rule of the linter. */
const server = { url: '/', 'x-internal': false }

/** The path of the page and the document. */
export const DOCS_PATH = '/docs'

/**
 * Describes the service as OpenAPI 3.1, from the schemas that validate requests and serialise responses. The document
 * is built when it is requested, so it includes what plugins that load later add to the routes.
 */
export default fp<{ config: Config }>(async function openapi (fastify, { config }) {
  if (config.DOCS === 'off') return
  // Loaded on demand, as is the page: together they take 20 MiB.
  const { default: swagger } = await import('@fastify/swagger')
  await fastify.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'gatehouse',
        version: '0.1.0',
        summary: 'Signs users up and in, and controls access by role.',
        description: 'Every error is `{ message, code }`: compare `code`, display `message`. Paths, usernames and e-mail ' +
          'addresses are case-insensitive.',
        license: { name: 'MIT', identifier: 'MIT' },
        contact: { name: 'gatehouse' }
      },
      servers: [server],
      tags,
      components: { securitySchemes }
    },
    transform: ({ route, url }) => ({ url, schema: describe(route) }),
    transformObject (document) {
      /* c8 ignore next: for the types only, as the option `openapi` rules out Swagger 2 */
      if (!('openapiObject' in document)) return document.swaggerObject
      return Object.assign(document.openapiObject, { paths: sortPaths({ ...document.openapiObject.paths }) })
    }
  })

  // The routes of @fastify/swagger-ui declare no access, which the guard requires.
  fastify.addHook('onRoute', route => {
    if (route.url !== DOCS_PATH && !route.url.startsWith(`${DOCS_PATH}/`)) return
    route.config = { access: 'public', ...route.config }
    route.schema = { ...route.schema, hide: true }
  })
}, { name: 'openapi', fastify: '5.x' })
