import { STATUS_CODES } from 'node:http'
import { format } from 'node:util'
import type { TSchema } from '@sinclair/typebox'
import type { FastifySchema, RouteOptions } from 'fastify'
import { type Access, isAccess } from './access.ts'
import { type ErrorCode, refusalOf } from './errors.ts'

// What a route's own schemas do not say about it, in the terms of OpenAPI 3.1.

/** The groups of the document: the folder below /api, or `service` for what lies elsewhere. */
export const tags = [
  { name: 'auth', description: 'Accounts made, sessions opened, refreshed and ended.' },
  { name: 'users', description: 'The own account, and the administration of all of them.' },
  { name: 'audit', description: 'Who changed which account.' },
  { name: 'test', description: 'Boards on which front-ends try their tokens.' },
  { name: 'service', description: 'The service itself.' }
]

const JWT = 'The access token of a sign-in or a refresh, a JWT (RFC 9068, verified by the rules of RFC8725).'

export const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: JWT },
  accessToken: { type: 'apiKey', in: 'header', name: 'x-access-token', description: `${JWT} Sent bare, as older front-ends do.` }
} as const

type Requirement = Record<string, readonly string[]>

const BODIES = ['application/json', 'application/x-www-form-urlencoded']

/** Either header will do. */
const token: Requirement[] = [{ bearer: [] }, { accessToken: [] }]

/** For a public route that lets some callers do more (`schema.security`): neither header, or either. */
export const tokenOrNone: Requirement[] = [{}, ...token]

/** By the names that linters of such documents look for; HTTP's are the same in any case. */
const headers: Record<string, object> = {
  'X-Request-Id': {
    type: 'string', format: 'uuid', maxLength: 36, description: 'Names the request, as the log does.'
  },
  'Access-Control-Allow-Origin': {
    type: 'string', format: 'uri', maxLength: 255, description: 'The origin of the page that asked, if CORS_ORIGIN lists it.'
  },
  'WWW-Authenticate': {
    type: 'string', enum: ['Bearer'], description: 'The scheme that would be accepted (RFC 9110 §11.6.1).'
  },
  'Retry-After': {
    type: 'integer', format: 'int32', minimum: 1, maximum: 86400, description: 'Whole seconds to wait before trying again.'
  }
}

/** A value that fits a schema, of the examples in it; undefined where one is missing. */
export function exampleOf (schema: TSchema): unknown {
  if (schema['examples']) return schema['examples'][0]
  if (schema['anyOf']) return exampleOf(schema['anyOf'][0])
  if (schema['type'] === 'array') return [exampleOf(schema['items'])]
  if (schema['type'] !== 'object') return schema.default
  return Object.fromEntries(Object.entries<TSchema>(schema['properties']).map(([name, property]) => [name, exampleOf(property)]))
}

/** What a refusal answers, word for word but for what stands at `%s`. */
function refusalExample (code: ErrorCode): object {
  const { message, body, example } = refusalOf(code)
  return { ...body, message: example === undefined ? message : format(message, example), code }
}

/** Numbers here go up to 2^53, so generated clients in languages with narrower ones must be told. */
const sized = (schema: unknown): TSchema => JSON.parse(JSON.stringify(schema),
  (_key, value) => Object(value).type === 'integer' ? { format: 'int64', ...value } : value)

/** A schema whose fields need not be sent where they have a default; in TypeBox they are always there, being filled in. */
const optional = ({ required, ...schema }: TSchema): TSchema => ({
  ...schema, required: [required].flat().filter(name => name && schema['properties'][name].default === undefined)
})

function describeReply (status: string, reply: TSchema): object {
  const codes: ErrorCode[] = reply['properties']?.code?.enum ?? []
  const always = ['x-request-id', 'access-control-allow-origin']
  const sent = [...always, ...codes.flatMap(code => Object.keys(refusalOf(code).headers ?? {})), ...status === '429' ? ['retry-after'] : []]
  const examples = codes.length > 0
    ? Object.fromEntries(codes.map(code => [code, { value: refusalExample(code) }]))
    : { success: { value: exampleOf(reply) } }
  return {
    description: reply.description ?? STATUS_CODES[status],
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => sent.includes(name.toLowerCase()))),
    content: { [reply['type'] === 'string' ? 'text/plain' : 'application/json']: { schema: sized(reply), examples } }
  }
}

/** postAuthSignin for POST /api/auth/signin: told from the URL, so that it need not be kept in step with it. */
const operationId = (method: string, url: string): string => method.toLowerCase() +
  url.split(/\W+/).filter(word => word !== '' && word !== 'api').map(word => word[0]?.toUpperCase() + word.slice(1)).join('')

const securityOf = (access: Access): Requirement[] => access === 'public' ? [] : token

/** A route's schemas with what its access, its URL and the catalogue of errors add for a reader. */
export function describe ({ method, url, config, schema = {} }: RouteOptions): FastifySchema {
  const isTwin = url.length > 1 && url.endsWith('/')
  if (schema.hide || isTwin || !isAccess(config?.access)) return { hide: true }
  const [, top, folder] = url.split('/')
  return {
    operationId: operationId(String(method), url),
    tags: [top === 'api' && folder ? folder : 'service'],
    security: securityOf(config.access),
    description: `Who may enter: ${config.access}.`,
    ...schema,
    ...schema.params ? { params: sized(schema.params) } : {},
    ...schema.querystring ? { querystring: optional(sized(schema.querystring)) } : {},
    // No body, where a schema lets that pass, is no less a mistake.
    ...schema.body ? { body: sized(Object(schema.body).anyOf?.[0] ?? schema.body), consumes: BODIES } : {},
    response: Object.fromEntries(Object.entries<TSchema>(Object(schema.response))
      .map(([status, reply]) => [status, describeReply(status, reply)]))
  }
}
