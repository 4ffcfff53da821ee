import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Eta } from 'eta/core'
import type { Config } from '../src/config/read-settings.ts'
import { relyingPartyOf } from '../src/factors/relying-party.ts'
import { pagePaths } from '../src/mail/links.ts'

const TITLES = { verify: 'Confirm your e-mail address', undo: 'Restore your e-mail address', reset: 'Choose a new password' }

// The pages load their script and style from this service, call this service, and nothing else.
const POLICY = ['default-src', 'base-uri', 'form-action', 'frame-ancestors'].map(name => `${name} 'none'`)
  .concat(['script-src', 'style-src', 'connect-src'].map(name => `${name} 'self'`), 'img-src data:').join('; ')

const read = (name: string): string =>
  readFileSync(join(import.meta.dirname, '..', 'views', 'pages', name), 'utf8')

/** The pages that mails link to, for front-ends that have none of their own. They are the same for everybody. */
export default (async (fastify, { config }) => {
  if (!fastify.mail.isConfigured) return
  const eta = new Eta({ autoEscape: true, autoTrim: false })
  const { PRODUCT_NAME: product, PASSWORD_MIN_LENGTH: minLength } = config
  const rpId = relyingPartyOf(config)?.id

  function serve (url: string, type: string, body: string, headers: Record<string, string> = {}): void {
    fastify.get(url, {
      config: { access: 'public', deadline: false },
      schema: { hide: true, response: { 200: Type.String() } }
    }, (_request, reply) => {
      reply.headers({ ...headers, 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-cache' }).send(body)
    })
  }

  for (const name of ['verify', 'undo', 'reset'] as const) {
    const title = TITLES[name]
    const content = eta.renderString(read(`${name}.html`), { minLength, rpId })
    serve(pagePaths[name], 'text/html', eta.renderString(read('layout.html'), { title, product, content }), {
      'content-security-policy': POLICY,
      // Isolates the page from the one that opened it, and sends no Referer.
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin'
    })
  }
  serve('/assets/pages.css', 'text/css', read('pages.css'))
  serve('/assets/pages.js', 'text/javascript', read('pages.js'))
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
