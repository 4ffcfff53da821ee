import Fastify from 'fastify'
import { test } from 'tap'
import responses from '../../plugins/responses.ts'
import { isRecord, property } from '../../src/unknown.ts'

test('every route gets the responses of its own errors and of its access, and keeps those it declares', async t => {
  const schemas = new Map<string, unknown>()
  const app = Fastify()
  await app.register(responses)
  app.addHook('onRoute', ({ url, schema }) => { schemas.set(url, schema?.response) })
  const declared = { 200: { type: 'string' } }
  app.get('/own', { config: { access: 'admin', errors: ['USER_NOT_FOUND'] }, schema: { response: declared } }, () => '')
  app.get('/fresh', { config: { access: 'signed-in', freshness: true, enrolment: true } }, () => '')
  app.get('/public', { config: { access: 'public' } }, () => '')
  // The guard, which is not registered here, rejects such a route.
  const withoutAccess = { url: '/none', method: 'GET' as const, handler: () => '' }
  app.route(withoutAccess)
  await app.ready()

  const enumOf = (url: string, status: number) => property(property(property(property(
    schemas.get(url), String(status)), 'properties'), 'code'), 'enum')
  t.strictSame(enumOf('/own', 403), [
    'ACCESS_TOKEN_MISSING', 'SECOND_FACTOR_ENROLMENT_REQUIRED', 'ADMIN_REQUIRED'
  ])
  t.strictSame(enumOf('/fresh', 403), ['ACCESS_TOKEN_MISSING'], 'an enrolment is admitted')
  t.strictSame(enumOf('/fresh', 401), ['ACCESS_TOKEN_INVALID', 'ACCESS_TOKEN_EXPIRED', 'REAUTHENTICATION_REQUIRED'])
  t.strictSame(enumOf('/public', 401), undefined)
  const own = schemas.get('/own')
  t.ok(isRecord(own))
  t.match(own, declared)
  const statuses = Object.keys(isRecord(own) ? own : {})
  for (const status of ['401', '403', '404', '500', '503']) t.ok(statuses.includes(status), status)
  t.equal(schemas.get('/none'), undefined)
})
