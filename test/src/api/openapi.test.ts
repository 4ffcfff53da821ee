import { Type } from '@sinclair/typebox'
import type { RouteOptions } from 'fastify'
import { test } from 'tap'
import { errorResponses } from '../../../src/api/error-responses.ts'
import { Message, Id } from '../../../src/api/fields.ts'
import { codesOf, describe, exampleOf } from '../../../src/api/openapi.ts'

test('an example is made of the examples in a schema', async t => {
  t.equal(exampleOf(Type.String({ examples: ['a', 'b'] })), 'a')
  t.strictSame(exampleOf(Type.Array(Type.Union([Type.Integer({ default: 1 }), Type.Null()]))), [1])
  t.strictSame(exampleOf(Type.Object({ name: Type.String() })), { name: undefined })
})

test('the codes of a response are those that its schema lists', async t => {
  t.strictSame(codesOf(errorResponses(['BUSY', 'OVERLOADED'])[503], '503'), ['BUSY', 'OVERLOADED'])
  for (const schema of [Message('done'), Type.String(), undefined, { properties: { code: { enum: 'BUSY' } } }]) {
    t.strictSame(codesOf(schema, '200'), [])
  }
})

const route = (changes: Partial<RouteOptions> = {}): RouteOptions => ({
  method: 'GET',
  url: '/api/users/:id',
  config: { access: 'admin' },
  schema: { summary: 'Returns a user.', params: Type.Object({ id: Id }), response: { 200: Message('done') } },
  handler: async () => {},
  ...changes
})

test('a route is described by its access, its URL and its schemas', async t => {
  const described = describe(route())
  t.match(described, {
    operationId: 'getUsersId',
    tags: ['users'],
    security: [{ bearer: [] }, { accessToken: [] }],
    summary: 'Returns a user.',
    description: 'Access: admin.',
    params: { properties: { id: { type: 'integer', format: 'int64' } } },
    response: { 200: { description: 'OK', content: { 'application/json': { examples: { success: { value: { message: 'done' } } } } } } }
  })
  t.match(describe(route({ url: '/health/live', config: { access: 'public' } })), {
    operationId: 'getHealthLive', tags: ['service'], security: []
  })
})

test('a route that is not part of the API is hidden', async t => {
  t.strictSame(describe(route({ schema: { hide: true } })), { hide: true })
  t.strictSame(describe(route({ url: '/api/users/' })), { hide: true }, 'the twin with a trailing slash')
  const { config, ...withoutAccess } = route()
  t.strictSame(describe(withoutAccess), { hide: true }, `no ${config?.access} access is declared`)
})

test('a query field with a default need not be sent', async t => {
  const querystring = Type.Object({ limit: Type.Integer({ default: 20 }), name: Type.String() })
  t.match(describe(route({ schema: { querystring } })).querystring, { required: ['name'] })
  const optional = Type.Object({ name: Type.Optional(Type.String()) })
  t.match(describe(route({ schema: { querystring: optional } })).querystring, { required: [] })
})

test('a body that may be absent is described as the body', async t => {
  const body = Type.Union([Type.Object({ refreshToken: Type.String() }), Type.Null()])
  t.match(describe(route({ method: 'POST', schema: { body } })), {
    body: { type: 'object', required: ['refreshToken'] },
    consumes: ['application/json', 'application/x-www-form-urlencoded']
  })
})
