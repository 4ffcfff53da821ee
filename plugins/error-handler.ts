import { randomUUID } from 'node:crypto'
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest, FastifySchemaValidationError } from 'fastify'
import fp from 'fastify-plugin'
import { securityHeaders } from '../src/api/security-headers.ts'
import { ApiError, type ErrorCode, errorDefinition, responseCode } from '../src/errors.ts'

/** Errors of Fastify, by code. */
const FRAMEWORK: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_CTP_INVALID_TYPE: 'MEDIA_TYPE_UNSUPPORTED'
}

/** Errors of Node's HTTP parser, by code. */
const CONNECTION: Record<string, ErrorCode> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT'
}

/** A validation error as a sentence, from the schema's description: "username must be 3 to 64 letters, …". */
function explain (error: FastifySchemaValidationError & { parentSchema?: { description?: string } }): string {
  const path = error.instancePath.slice(1).replaceAll('/', '.')
  const field = (name: unknown) => JSON.stringify([path, name].filter(Boolean).join('.').slice(0, 64)).slice(1, -1)
  const { missingProperty, additionalProperty } = error.params
  if (error.keyword === 'required') return `${field(missingProperty)} is required`
  if (error.keyword === 'additionalProperties') return `${field(additionalProperty)} is not a known field`
  const expected = error.parentSchema?.description
  return `${path || 'the body'} ${expected === undefined ? error.message : `must be ${expected}`}`
}

/** Any error as one of the catalogue; INTERNAL if it has no equivalent there. */
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

/** Milliseconds that a client has to send the rest of a body that was refused. */
const LINGER = 2000

/**
 * Reads and discards the rest of a refused body. If it has not ended after `LINGER`, the connection is closed. Closing
 * it at once would reset it, and the client could lose the response.
 */
function closeAfterBody (request: FastifyRequest, reply: FastifyReply): void {
  // Fastify asks Node to close the connection at once.
  reply.removeHeader('connection')
  reply.raw.once('finish', () => {
    // Without a body, Node completes a request only after its headers were handled.
    if (request.raw.complete) return
    request.raw.resume()
    const timer = setTimeout(() => { request.raw.destroy() }, LINGER).unref()
    request.raw.once('close', () => { clearTimeout(timer) })
  })
}

/** Responds with an error in the shape of the HTTP contract. */
export function sendError (thrown: FastifyError | ApiError, request: FastifyRequest, reply: FastifyReply): void {
  const error = toApiError(thrown)
  const { status, headers, body } = errorDefinition(error.code)
  // A 503 is caused by the database or the load and is temporary. A 500 is a bug.
  if (status >= 500) {
    const fields = { err: error.cause ?? error, code: error.code }
    request.log[status === 503 ? 'warn' : 'error'](fields, 'request failed')
  }
  if (!request.raw.complete) closeAfterBody(request, reply)
  if (error.retryAfter !== undefined) reply.header('retry-after', error.retryAfter)
  // Repeats plugins/response-headers.ts, because Fastify rejects some URLs before it runs any hook.
  reply.code(status).header('x-request-id', request.id).headers({ ...securityHeaders, ...headers, ...error.headers })
    .send({ ...body, message: error.message, code: responseCode(error.code), ...error.body })
}

/** Responds to what never became a request: the HTTP parser rejected it, or it did not arrive in time. */
export function sendConnectionError (error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const code = CONNECTION[error.code ?? ''] ?? 'REQUEST_MALFORMED'
  const { status, headers, body } = rawResponse(code)
  if (socket.writable) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    socket.write([`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\r\n'))
  }
  socket.destroySoon()
}

/** The status, headers and body of an error response that Fastify does not send. */
function rawResponse (code: ErrorCode) {
  const { status, message } = errorDefinition(code)
  const body = JSON.stringify({ message, code })
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    'x-request-id': randomUUID(),
    ...securityHeaders,
    connection: 'close'
  }
  return { status, headers, body }
}

/** Turns every error, including Fastify's own, into an error response of the HTTP contract. */
export default fp(async function errorHandler (fastify) {
  fastify.setErrorHandler(sendError)
  // Without this listener, Node responds with an empty 417.
  fastify.server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    const { status, headers, body } = rawResponse('EXPECTATION_FAILED')
    response.writeHead(status, headers).end(body)
  })
  fastify.setNotFoundHandler((request, reply) => { sendError(new ApiError('ROUTE_NOT_FOUND'), request, reply) })
}, { name: 'error-handler', fastify: '5.x' })
