import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { test, type Test } from 'tap'
import { codesOf } from '../../src/api/openapi.ts'
import { buildApp } from '../../src/app.ts'
import { isRecord, property } from '../../src/unknown.ts'
import { configOf, createDatabase } from '../support/app.ts'
import { shareApp } from '../support/shared-app.ts'
import { collectRoutes } from '../support/declared-routes.ts'

interface DescribedResponse {
  description: string
  headers: Record<string, object>
  content: Record<string, { schema: object, examples: Record<string, { value: unknown }> }>
}

interface Operation {
  operationId: string
  summary: string
  tags: string[]
  security: object[]
  responses: Record<string, DescribedResponse>
}

interface Document {
  openapi: string
  info: Record<string, unknown>
  tags: Array<{ name: string }>
  paths: Record<string, Record<string, Operation>>
}

async function startDocumented (t: Test) {
  const { app } = await shareApp(t, { DOCS: 'on' })
  const { paths, ...document } = app.swagger() as unknown as Document
  return { app, document, paths, operations: operationsOf(paths) }
}

const operationsOf = (paths: Document['paths']) => Object.entries(paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ path, method, operation })))

test('every route is described, with every status, security scheme and error that it has', async t => {
  const config = configOf(await createDatabase(t), { LOG_LEVEL: 'silent', DOCS: 'on' })
  const { app, routes } = await collectRoutes(async () => await buildApp(config))
  t.teardown(async () => await app.close())
  await app.ready()
  const { paths } = app.swagger() as unknown as Document
  const own = routes.filter(route => route.file !== 'elsewhere' && !/.\/$/.test(route.url))
  t.equal(operationsOf(paths).length, own.length)
  for (const { method, url, config, schema } of own) {
    const path = url.replace(/:(\w+)/g, '{$1}')
    const operation = paths[path]?.[String(method).toLowerCase()]
    if (!operation) return t.fail(`${String(method)} ${path} is missing`)
    const declared = isRecord(schema?.response) ? schema.response : {}
    t.strictSame(Object.keys(operation.responses), Object.keys(declared), path)
    const token = [{ bearer: [] }, { accessToken: [] }]
    t.strictSame(operation.security, config?.access === 'public' ? [] : token, path)
    for (const [status, { content }] of Object.entries(operation.responses).filter(([status]) => status >= '400')) {
      t.strictSame(Object.keys(content['application/json']?.examples ?? {}), codesOf(declared[status], status), `${path} ${status}`)
    }
  }
})

test('each operation has an id of its own, a summary and one described group', async t => {
  const { document, paths, operations } = await startDocumented(t)
  const groups = document.tags.map(tag => tag.name)
  t.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, operations.length)
  for (const { path, operation: { summary, tags } } of operations) {
    t.ok(summary, path)
    t.ok(tags.length === 1 && groups.includes(String(tags[0])), path)
  }
  t.equal(paths['/api/auth/signin']?.['post']?.operationId, 'postAuthSignin')
  t.equal(paths['/api/users/{id}/roles']?.['put']?.operationId, 'putUsersIdRoles')
})

test('every example fits its schema, and the example of an error is the body that is sent', async t => {
  const { app, paths, operations } = await startDocumented(t)
  const ajv = new Ajv({ strict: false, validateFormats: false })
  for (const { path, operation } of operations) {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      for (const { schema, examples } of Object.values(content)) {
        t.ok(Object.keys(examples).length > 0, `${path} ${status}`)
        for (const { value } of Object.values(examples)) {
          t.ok(ajv.validate(schema, value), `${path} ${status} ${ajv.errorsText()}`)
        }
      }
    }
  }
  const payload = { email: 'a@example.com', password: 'correct horse' }
  const response = await app.inject({ method: 'POST', url: '/api/auth/signup', payload })
  const described = paths['/api/auth/signup']?.['post']?.responses['400']
  t.strictSame(described?.content['application/json']?.examples['VALIDATION_FAILED'], { value: response.json<unknown>() })
})

test('the headers of a response are those that are sent', async t => {
  const { operations } = await startDocumented(t)
  for (const { path, operation } of operations) {
    for (const [status, { headers, content }] of Object.entries(operation.responses)) {
      const codes = Object.keys(content['application/json']?.examples ?? {})
      const isChallenge = codes.some(code =>
        ['ACCESS_TOKEN_MISSING', 'ACCESS_TOKEN_INVALID', 'PASSWORD_INVALID', 'SECOND_FACTOR_INVALID'].includes(code))
      const saysWhen = status === '429' || status === '503'
      t.strictSame(Object.keys(headers), [
        'X-Request-Id',
        'Access-Control-Allow-Origin',
        ...isChallenge ? ['WWW-Authenticate'] : [],
        ...saysWhen ? ['Retry-After'] : []
      ], `${path} ${status}`)
    }
  }
})

test('a route that requires a fresh session says so, with the error and its challenge', async t => {
  const { paths } = await startDocumented(t)
  const operation = paths['/api/users/{id}']?.['delete']
  t.match(operation, { description: 'Access: admin, with a fresh session.' })
  const { headers, content } = operation?.responses['401'] ?? {}
  t.match(content?.['application/json']?.examples['REAUTHENTICATION_REQUIRED'], { value: { code: 'REAUTHENTICATION_REQUIRED' } })
  const pattern = new RegExp(String(property(property(headers?.['WWW-Authenticate'], 'schema'), 'pattern')))
  for (const sent of ['Bearer', 'Bearer error="insufficient_user_authentication", max_age=600']) t.match(sent, pattern)
  t.match(paths['/api/users/me/password']?.['put'], { description: 'Access: signed-in.' })
})

test('the document has the version of the package', async t => {
  const { document } = await startDocumented(t)
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  t.match(document, { openapi: '3.1.0', info: { title: 'gatehouse', version } })
})
