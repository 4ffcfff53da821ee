import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import pino from 'pino'
import Fastify, { type FastifyInstance } from 'fastify'
import { answerBadConnection, sendError } from '../plugins/error-handler.ts'
import type { Config } from './config.ts'
import { logOptions, type LogStream } from './log.ts'
import { RequestCounter, RequestFigures } from './request-figures.ts'
import { withLateChildren } from './request-logger.ts'

/**
 * Ids in the form of UUIDs, at a third of their cost: a process begins all of its own with the same random half, and
 * counts in the other.
 */
function requestIds (): () => string {
  const process = randomUUID().slice(0, 24)
  let requests = 0
  return () => process + (requests++).toString(16).padStart(12, '0')
}

/**
 * The whole service, not yet listening: plugins, then routes, each a folder that is loaded file by file. Tests mount
 * this same function.
 * @param stream where log lines go; the process's standard output if absent
 */
export async function buildApp (config: Config, stream?: LogStream): Promise<FastifyInstance> {
  const requestFigures = new RequestFigures()
  const app = Fastify({
    loggerInstance: withLateChildren(pino(logOptions(config), stream ?? pino.destination(1))),
    logController: new RequestCounter(requestFigures),
    // Never `true`: whoever connects could claim any address, and so escape the limits.
    trustProxy: config.TRUST_PROXY.length > 0 && config.TRUST_PROXY,
    genReqId: requestIds(),
    bodyLimit: config.BODY_LIMIT,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true },
    requestTimeout: config.REQUEST_TIMEOUT * 1000,
    keepAliveTimeout: config.IDLE_TIMEOUT * 1000,
    connectionTimeout: config.STALL_TIMEOUT * 1000,
    http: {
      requestTimeout: config.REQUEST_TIMEOUT * 1000,
      headersTimeout: config.HEADERS_TIMEOUT * 1000,
      maxHeaderSize: config.HEADERS_LIMIT,
      // A slow request is cut by this check of Node's, every 30 s unless told otherwise.
      connectionsCheckingInterval: 1000
    },
    // A request that arrives while the service closes is answered like any other (plugins/draining.ts).
    return503OnClosing: false,
    // Waiting for the database at start takes as long as its setting says.
    pluginTimeout: 0,
    frameworkErrors: sendError,
    clientErrorHandler: answerBadConnection
  })
  app.decorate('requestFigures', requestFigures)
  app.server.maxConnections = config.MAX_CONNECTIONS
  // Before all others, whose hooks and routes it wraps. Imported only where it is wanted: it takes 20 MiB.
  if (config.OTEL_EXPORTER_OTLP_ENDPOINT !== undefined) {
    const { trace } = await import('./tracing.ts')
    await trace(app, config.OTEL_EXPORTER_OTLP_ENDPOINT)
  }
  const folder = (name: string) => ({ dir: join(import.meta.dirname, '..', name), forceESM: true, options: { config } })
  await app.register(autoload, folder('plugins'))
  await app.register(autoload, folder('routes'))
  return app
}
