import { Ajv } from 'ajv'
import build from 'fast-json-stringify'
import type { RouteOptions } from 'fastify'
import { test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { isRecord } from '../../src/unknown.ts'
import { collectLogs, configOf, createDatabase } from '../support/app.ts'
import { collectRoutes } from '../support/declared-routes.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'

type Described = Pick<RouteOptions, 'method' | 'url' | 'schema'>

/** The schemas that cannot be compiled, which the service itself would notice at the first request of their route. */
function uncompilable (routes: readonly Described[]): string[] {
  // Unlike the service's, it checks the schemas themselves as well, which the service skips to start sooner.
  const ajv = new Ajv({ strictTypes: false })
  return routes.flatMap(({ method, url, schema }) => Object.entries(schema ?? {}).filter(([part, value]) => {
    try {
      if (['body', 'params', 'querystring'].includes(part) && isRecord(value)) ajv.compile(value)
      if (part === 'response' && isRecord(value)) for (const response of Object.values(value)) if (isRecord(response)) build(response)
      return false
    } catch {
      return true
    }
  }).map(([part]) => `${part} of ${String(method)} ${url}`))
}

test('the schemas of every route can be compiled, which only its first request does', async t => {
  // With the routes that need mail.
  const config = configOf(await createDatabase(t), { ...MAIL_SETTINGS, MAIL_URL: 'smtp://127.0.0.1:1' })
  const { app, routes } = await collectRoutes(async () => await buildApp(config, collectLogs().stream))
  t.teardown(async () => await app.close())
  // Those that are hidden belong to the page at /docs.
  const own = routes.filter(({ schema }) => schema?.hide !== true)
  t.strictSame(uncompilable(own), [])
  t.ok(own.filter(({ schema }) => schema?.body).length > 20)
  const wrong = { type: 'object', properties: { id: { type: 'number', minimum: 'none' } } }
  const responses = { 200: { type: 'nothing' } }
  t.strictSame(uncompilable([{ method: 'PUT', url: '/a', schema: { body: wrong, params: {}, response: responses } }]),
    ['body of PUT /a', 'response of PUT /a'], 'the check can fail')
})
