import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'
import { DOCS_PATH } from './openapi.ts'

// The page's scripts and styles are files of the package; it draws its icons as data, and calls this service.
const policy = [
  'default-src \'none\'',
  'script-src \'self\'',
  // The hash is that of the one style the page's script writes into the page itself.
  'style-src \'self\' \'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w=\'',
  'img-src \'self\' data:',
  'connect-src \'self\'',
  'base-uri \'none\'',
  'form-action \'none\'',
  'frame-ancestors \'none\''
].join('; ')

/** A page on which a person reads the API and calls it, with the document it is made of as JSON and as YAML. */
export default fp<{ config: Config }>(async function docs (fastify, { config }) {
  if (config.DOCS === 'off') return
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  await fastify.register(swaggerUi, {
    routePrefix: DOCS_PATH,
    staticCSP: policy,
    theme: { title: 'gatehouse' },
    uiConfig: {
      // The token of one person is not left in the browser for the next.
      persistAuthorization: false,
      docExpansion: 'list',
      tryItOutEnabled: true
    }
  })
  // openapi declares the access of these routes, and guard checks it, each in a hook that has to exist before them.
}, { name: 'docs', fastify: '5.x', dependencies: ['guard', 'openapi'] })
