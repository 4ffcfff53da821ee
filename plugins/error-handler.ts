import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { ApiError, type ErrorCode, refusalOf } from '../src/errors.ts'

// What Fastify itself refuses, in the contract's terms.
const FRAMEWORK: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_CTP_INVALID_TYPE: 'MEDIA_TYPE_UNSUPPORTED'
}

// What Node's parser refuses before there is a request.
const CONNECTION: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT'
}

/** A failed schema as a sentence: "username must be 3 to 64 letters, …", from the schema's own description. */
function explain (error: FastifySchemaValidationError & { parentSchema?: { description?: string } }): string {
  const path = error.instancePath.slice(1).replaceAll('/', '.')
  const field = (name: unknown) => JSON.stringify([path, name].filter(Boolean).join('.').slice(0, 64)).slice(1, -1)
  if (error.keyword === 'required') return `${field(error.params['missingProperty'])} is required`
  if (error.keyword === 'additionalProperties') return `${field(error.params['additionalProperty'])} is not a known field`
  const wanted = error.parentSchema?.description
  return `${path || 'the body'} ${wanted === undefined ? error.message : `must be ${wanted}`}`
}

/** What an error means in the catalogue's terms; INTERNAL where it has no place there. */
export function toApiError (error: FastifyError | ApiError): ApiError {
  if (error instanceof ApiError) return error
  const [fault] = error.validation ?? []
  if (fault) return new ApiError('VALIDATION_FAILED', explain(fault))
  const code = FRAMEWORK[error.code]
  if (code) return new ApiError(code)
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new ApiError('REQUEST_MALFORMED')
  }
  return new ApiError('INTERNAL', undefined, { cause: error })
}

/** Answers with an error in the contract's shape: `{ message, code }` and what the catalogue adds. */
export function sendError (thrown: FastifyError | ApiError, request: FastifyRequest, reply: FastifyReply): void {
  const error = toApiError(thrown)
  const { status, headers, body } = refusalOf(error.code)
  // 503 is the database's or the load's fault and passes; 500 is ours.
  if (status >= 500) request.log[status === 503 ? 'warn' : 'error']({ err: error.cause ?? error, code: error.code })
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
  // Fastify's own refusals of a URL come before the hook of plugins/reply-headers.ts.
  reply.code(status).header('x-request-id', request.id).headers({ ...request.server.securityHeaders.overHttp, ...headers })
    .send({ ...body, message: error.message, code: error.code })
}

/** Answers what never became a request: Node's parser refused it, or it did not arrive in time. */
export function answerBadConnection (this: FastifyInstance, error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const code = CONNECTION[error.code ?? ''] ?? 'REQUEST_MALFORMED'
  const { status, message } = refusalOf(code)
  const body = JSON.stringify({ message, code })
  if (socket.writable) {
    socket.write([
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${randomUUID()}`,
      ...Object.entries(this.securityHeaders.overHttp).map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '',
      body
    ].join('\r\n'))
  }
  socket.destroySoon()
}

/** One place turns every failure, the framework's as well, into the contract's error body. */
export default fp(async function errorHandler (fastify) {
  fastify.setErrorHandler(sendError)
  fastify.setNotFoundHandler((request, reply) => sendError(new ApiError('ROUTE_NOT_FOUND'), request, reply))
}, { name: 'error-handler', fastify: '5.x' })
