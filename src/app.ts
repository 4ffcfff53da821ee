import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify, { type FastifyInstance } from 'fastify'
import { sendConnectionError, sendError } from '../plugins/error-handler.ts'
import type { Config } from './config/read-settings.ts'
import { logOptions, type LogStream } from './telemetry/log-options.ts'
import { createLogStream } from './telemetry/log-stream.ts'
import { RequestDurations } from './telemetry/request-durations.ts'

/**
 * The composition root: the whole service, not yet listening, for the process and for tests.
 * @param stream destination of log lines; by default the standard output
 */
export async function buildApp (config: Config, stream?: LogStream): Promise<FastifyInstance> {
  const requestDurations = new RequestDurations()
  const app = Fastify({
    logger: { ...logOptions(config), stream: stream ?? createLogStream() },
    logController: requestDurations,
    // Never `true`: a client could then claim any address and evade the limits.
    trustProxy: config.TRUST_PROXY.length > 0 && config.TRUST_PROXY,
    genReqId: () => randomUUID(),
    bodyLimit: config.BODY_LIMIT,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true },
    // Fastify's option alone cuts a slow body only after 60 s, so Node's own are set as well (`http`).
    requestTimeout: config.REQUEST_TIMEOUT * 1000,
    keepAliveTimeout: config.KEEP_ALIVE_TIMEOUT * 1000,
    connectionTimeout: config.CONNECTION_TIMEOUT * 1000,
    http: {
      requestTimeout: config.REQUEST_TIMEOUT * 1000,
      headersTimeout: config.HEADERS_TIMEOUT * 1000,
      maxHeaderSize: config.MAX_HEADER_SIZE,
      // Two Authorization headers that differ are an invalid token (RFC 6750 §2). Node would drop the second.
      joinDuplicateHeaders: true,
      // plugins/response-headers.ts rejects a request without one. Node's own response has no body.
      requireHostHeader: false,
      // The interval at which Node enforces the two timeouts; its default is 30 s.
      connectionsCheckingInterval: 1000
    },
    // Requests that arrive during the close are served (plugins/draining.ts).
    return503OnClosing: false,
    // Disabled, because the db plugin waits for the database for DATABASE_START_TIMEOUT.
    pluginTimeout: 0,
    frameworkErrors: (error, request, reply) => {
      sendError(error, request, reply.headers(app.corsHeaders(request.headers.origin)))
    },
    clientErrorHandler: sendConnectionError
  })
  app.decorate('requestDurations', requestDurations)
  if (config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined) {
    // Registered first, because it wraps the hooks and routes of the others. Loaded on demand: it takes 20 MiB.
    const { startTracing } = await import('./telemetry/tracing.ts')
    await startTracing(app, config.OTEL_EXPORTER_OTLP_ENDPOINT)
  }
  const folder = (name: string) => ({ dir: join(import.meta.dirname, '..', name), forceESM: true, options: { config } })
  await app.register(autoload, folder('plugins'))
  await app.register(autoload, folder('routes'))
  return app
}
