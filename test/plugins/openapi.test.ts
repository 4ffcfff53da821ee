import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { errorDefinition } from '../../src/errors.ts'
import { exampleOf } from '../../src/api/openapi.ts'
import { configOf, createDatabase, startApp } from '../support/app.ts'
import { collectRoutes } from '../support/declared-routes.ts'
import { repliedCodes } from '../support/architecture-rules.ts'

interface Reply {
  description: string
  headers: Record<string, object>
  content: Record<string, { schema: object, examples: Record<string, { value: unknown }> }>
}

interface Operation {
  operationId: string
  summary: string
  tags: string[]
  security: object[]
  responses: Record<string, Reply>
}

interface Document {
  tags: Array<{ name: string }>
  paths: Record<string, Record<string, Operation>>
}

/** Every operation of a document. */
const operationsOf = ({ paths }: Document) => Object.entries(paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ path, method, operation })))

test('every route is described, with every status, security scheme and refusal it has', async t => {
  const url = await createDatabase(t)
  const { app, routes } = await collectRoutes(async () => await buildApp(configOf(url, { LOG_LEVEL: 'silent' })))
  t.teardown(async () => await app.close())
  await app.ready()
  const found = operationsOf(Object(app.swagger()))
  const own = routes.filter(route => route.file !== 'elsewhere' && !/.\/$/.test(route.url))
  t.equal(found.length, own.length)
  for (const route of own) {
    const path = route.url.replace(/:(\w+)/g, '{$1}')
    const { operation } = found.find(at => at.path === path && at.method === String(route.method).toLowerCase()) ?? {}
    if (!operation) return t.fail(`${String(route.method)} ${path} is missing`)
    const { responses: responses } = operation
    t.strictSame(Object.keys(responses), Object.keys(Object(route.schema?.response)), path)
    const token = [{ bearer: [] }, { accessToken: [] }]
    t.strictSame(operation.security, path.endsWith('signup') ? [{}, ...token] : route.config?.access === 'public' ? [] : token, path)
    const codes = Object.entries(responses).filter(([status]) => status >= '400')
      .flatMap(([, response]) => Object.keys(response.content['application/json']?.examples ?? {}))
    t.strictSame(codes, repliedCodes(route), path)
  }
})

test('operations have names of their own, a summary and a group that is described', async t => {
  const { app } = await startApp(t)
  const document: Document = Object(app.swagger())
  const operations = operationsOf(document)
  const groups = document.tags.map(tag => tag.name)
  t.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length)
  for (const { path, operation: { summary, tags } } of operations) {
    t.ok(summary, path)
    t.ok(tags.length === 1 && groups?.includes(String(tags[0])), path)
  }
  t.equal(document.paths['/api/auth/signin']?.['post']?.operationId, 'postAuthSignin')
  t.equal(document.paths['/api/users/{id}/roles']?.['put']?.operationId, 'putUsersIdRoles')
})

test('every example fits its schema, and that of a refusal is what it answers', async t => {
  const { app } = await startApp(t)
  const ajv = new Ajv({ strict: false, validateFormats: false })
  for (const { path, operation } of operationsOf(Object(app.swagger()))) {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      for (const { schema, examples } of Object.values(content)) {
        t.ok(Object.keys(examples).length > 0, `${path} ${status}`)
        for (const { value } of Object.values(examples)) t.ok(ajv.validate(schema, value), `${path} ${status} ${ajv.errorsText()}`)
      }
    }
  }
  const bad = await app.inject({ method: 'POST', url: '/api/auth/signup', payload: { email: 'a@example.com', password: 'correct horse' } })
  const signUp: Document = Object(app.swagger())
  const refused = signUp.paths['/api/auth/signup']?.['post']?.responses['400']
  t.strictSame(refused?.content['application/json']?.examples['VALIDATION_FAILED'], { value: bad.json() })
})

test('the headers of a response are those that the catalogue sends', async t => {
  const { app } = await startApp(t)
  for (const { path, operation } of operationsOf(Object(app.swagger()))) {
    for (const [status, { headers, content }] of Object.entries(operation.responses)) {
      const codes = Object.keys(content['application/json']?.examples ?? {})
      const challenged = codes.some(code => ['ACCESS_TOKEN_MISSING', 'ACCESS_TOKEN_INVALID', 'PASSWORD_INVALID'].includes(code))
      const waits = status === '429' || status === '503'
      t.strictSame(Object.keys(headers), ['X-Request-Id', 'Access-Control-Allow-Origin', ...challenged ? ['WWW-Authenticate'] : [], ...waits ? ['Retry-After'] : []], `${path} ${status}`)
    }
  }
  t.strictSame(errorDefinition('BUSY').headers, { 'retry-after': '1' })
})

test('the document has the version of the package', async t => {
  const { app } = await startApp(t)
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'))
  t.match(app.swagger(), { openapi: '3.1.0', info: { title: 'gatehouse', version } })
})

test('an example is made of the examples in a schema', async t => {
  t.equal(exampleOf(Type.String({ examples: ['a', 'b'] })), 'a')
  t.strictSame(exampleOf(Type.Array(Type.Union([Type.Integer({ default: 1 }), Type.Null()]))), [1])
  t.strictSame(exampleOf(Type.Object({ name: Type.String() })), { name: undefined })
})
