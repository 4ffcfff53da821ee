import { STATUS_CODES } from 'node:http'
import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import type { FastifyContextConfig, FastifySchema, RouteOptions } from 'fastify'
import { isAccess } from '../access.ts'
import { type ErrorCode, errorCodes, errorDefinition, exampleMessage, responseCode } from '../errors.ts'
import { isRecord, property } from '../unknown.ts'
import { errorFields } from './error-responses.ts'
import { accessTokenRequired, apiKeyRequired, responseHeaders, type SecurityRequirement } from './openapi-components.ts'

const BODIES = ['application/json', 'application/x-www-form-urlencoded']

/** A value that fits a schema, made of the schema's examples; undefined if one is missing. */
export function exampleOf (schema: TSchema): unknown {
  const examples: unknown = schema['examples']
  if (Array.isArray(examples)) return examples[0]
  if (KindGuard.IsUnion(schema)) return schema.anyOf[0] && exampleOf(schema.anyOf[0])
  if (KindGuard.IsArray(schema)) return [exampleOf(schema.items)]
  if (!KindGuard.IsObject(schema)) return schema.default
  return Object.fromEntries(Object.entries<TSchema>(schema.properties).map(([name, field]) => [name, exampleOf(field)]))
}

/** An example of the body of an error response. */
function errorExample (code: ErrorCode): object {
  const { body, fields = [] } = errorDefinition(code)
  const examples = Object.fromEntries(fields.map(field => [field, exampleOf(errorFields[field])]))
  return { ...body, message: exampleMessage(code), code: responseCode(code), ...examples }
}

/** Adds `format: int64`: integers go up to 2^53, and generated clients would otherwise use 32 bits. */
function withIntegerFormat (schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withIntegerFormat)
  if (!isRecord(schema)) return schema
  const copy = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, withIntegerFormat(value)]))
  return copy['type'] === 'integer' ? { format: 'int64', ...copy } : copy
}

/** A query in which fields with a default need not be sent. In TypeBox they are required, since Ajv fills them in. */
const withOptionalDefaults = (query: TObject): object => ({
  ...query,
  required: Object.entries(query.properties)
    .filter(([name, { default: value }]) => query.required?.includes(name) && value === undefined)
    .map(([name]) => name)
})

/** The errors that the response schema of a status lists. */
export function codesOf (response: unknown, status: string): ErrorCode[] {
  const codes = property(property(property(response, 'properties'), 'code'), 'enum')
  if (!Array.isArray(codes)) return []
  return errorCodes.filter(code =>
    codes.includes(responseCode(code)) && String(errorDefinition(code).status) === status)
}

function describeResponse (status: string, response: TSchema): object {
  const codes = codesOf(response, status)
  const sent = [
    'x-request-id',
    'access-control-allow-origin',
    ...codes.flatMap(code => Object.keys(errorDefinition(code).headers ?? {})),
    ...status === '429' ? ['retry-after'] : []
  ]
  const examples = codes.length > 0
    ? Object.fromEntries(codes.map(code => [code, { value: errorExample(code) }]))
    : { success: { value: exampleOf(response) } }
  const type = response['type'] === 'string' ? 'text/plain' : 'application/json'
  return {
    description: response.description ?? STATUS_CODES[status],
    headers: Object.fromEntries(Object.entries(responseHeaders).filter(([name]) => sent.includes(name.toLowerCase()))),
    content: { [type]: { schema: withIntegerFormat(response), examples } }
  }
}

/** postAuthSignin for POST /api/auth/signin. */
function operationId (method: string, url: string): string {
  const words = url.split(/\W+/).filter(word => word !== '' && word !== 'api')
  return [method.toLowerCase(), ...words.map(word => word.charAt(0).toUpperCase() + word.slice(1))].join('')
}

function securityOf ({ access, apiKeys }: FastifyContextConfig): SecurityRequirement[] {
  if (access === 'public') return []
  return apiKeys ? apiKeyRequired[`${apiKeys}`] : accessTokenRequired
}

/** The body to describe. A union also accepts the absence of a body, which has an error of its own. */
const describedBody = (body: unknown): unknown => KindGuard.IsUnion(body) ? body.anyOf[0] : body

/** A route's schemas as OpenAPI 3.1, completed by its access, its URL and the error catalogue. */
export function describe ({ method, url, config, schema = {} }: RouteOptions): FastifySchema {
  const isTrailingSlashTwin = url.length > 1 && url.endsWith('/')
  if (schema.hide || isTrailingSlashTwin || !isAccess(config?.access)) return { hide: true }
  const [, top, folder] = url.split('/')
  const responses = isRecord(schema.response) ? Object.entries(schema.response as Record<string, TSchema>) : []
  return {
    operationId: operationId(String(method), url),
    tags: [top === 'api' && folder ? folder : 'service'],
    security: securityOf(config),
    description: `Access: ${config.access}${config.freshness ? ', with a fresh session' : ''}.`,
    ...schema,
    ...schema.params ? { params: withIntegerFormat(schema.params) } : {},
    ...schema.querystring
      ? { querystring: withIntegerFormat(withOptionalDefaults(schema.querystring as TObject)) }
      : {},
    ...schema.body ? { body: withIntegerFormat(describedBody(schema.body)), consumes: BODIES } : {},
    response: Object.fromEntries(responses.map(([status, response]) => [status, describeResponse(status, response)]))
  }
}
