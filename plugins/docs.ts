import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'
import { DOCS_PATH } from './openapi.ts'

// The page loads the package's scripts and styles, has its icons as data: URLs, and calls this service.
const policy = [
  'default-src \'none\'',
  'script-src \'self\'',
  // The hash of the one style that the page's script adds to the page.
  'style-src \'self\' \'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w=\'',
  'img-src \'self\' data:',
  'connect-src \'self\'',
  'base-uri \'none\'',
  'form-action \'none\'',
  'frame-ancestors \'none\''
].join('; ')

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 130 30">
  <text y="22" font-family="sans-serif" font-size="22" font-weight="bold" fill="#fff">gatehouse</text></svg>`

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
  <path d="M1 15V5l7-4 7 4v10h-4V9a3 3 0 0 0-6 0v6z" fill="#1b6b4a"/></svg>`

const styles = `
  /* There is only one document to explore. */
  .swagger-ui .topbar .download-url-wrapper { display: none }
  @media (max-width: 640px) {
    .swagger-ui .wrapper { padding: 0 8px }
    .swagger-ui .response-col_links { display: none }
    .swagger-ui .responses-inner, .swagger-ui .parameters-container, .swagger-ui .table-container { overflow-x: auto }
    .swagger-ui .opblock-summary-path { word-break: break-all }
  }
`

/** Serves Swagger UI and the OpenAPI document, as JSON and as YAML. */
export default fp<{ config: Config }>(async function docs (fastify, { config }) {
  if (config.DOCS === 'off') return
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  await fastify.register(swaggerUi, {
    routePrefix: DOCS_PATH,
    staticCSP: policy,
    logo: { type: 'image/svg+xml', content: logo },
    theme: {
      title: 'gatehouse',
      css: [{ filename: 'gatehouse.css', content: styles }],
      favicon: [{ filename: 'gatehouse.svg', rel: 'icon', sizes: 'any', type: 'image/svg+xml', content: Buffer.from(icon) }]
    },
    uiConfig: {
      // Keeps the token over a reload, in the browser's local storage.
      persistAuthorization: true,
      docExpansion: 'list',
      tryItOutEnabled: true
    }
  })
  // openapi declares the access of these routes, and guard checks it, each in a hook that has to exist before them.
}, { name: 'docs', fastify: '5.x', dependencies: ['guard', 'openapi'] })
