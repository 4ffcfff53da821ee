import Fastify from 'fastify'
import { test } from 'tap'
import responses from '../../plugins/responses.ts'
import { isRecord } from '../../src/unknown.ts'

test('every route gets the responses of its own errors and of its access, and keeps those it declares', async t => {
  const schemas = new Map<string, unknown>()
  const app = Fastify()
  await app.register(responses)
  app.addHook('onRoute', ({ url, schema }) => { schemas.set(url, schema?.response) })
  const declared = { 200: { type: 'string' } }
  app.get('/own', { config: { access: 'admin', errors: ['USER_NOT_FOUND'] }, schema: { response: declared } }, () => '')
  // The guard, which is not registered here, rejects such a route.
  const withoutAccess = { url: '/none', method: 'GET' as const, handler: () => '' }
  app.route(withoutAccess)
  await app.ready()

  const own = schemas.get('/own')
  t.ok(isRecord(own))
  t.match(own, declared)
  const statuses = Object.keys(isRecord(own) ? own : {})
  for (const status of ['401', '403', '404', '500', '503']) t.ok(statuses.includes(status), status)
  t.equal(schemas.get('/none'), undefined)
})
