import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import pino from 'pino'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { answerBadConnection, sendError } from '../plugins/error-handler.ts'
import type { Config } from './config.ts'
import { logOptions, type LogStream } from './log.ts'
import { withLateChildren } from './request-logger.ts'

/**
 * The whole service, not yet listening: plugins, then routes, each a folder that is loaded file by file. Tests mount
 * this same function.
 * @param stream where log lines go; the process's standard output if absent
 */
export async function buildApp (config: Config, stream?: LogStream): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: withLateChildren(pino(logOptions(config), stream ?? pino.destination(1))),
    // A line per request costs near half of a trivial route's throughput; plugins/request-log.ts writes one at level debug.
    logController: new LogController({ disableRequestLogging: true }),
    // Never `true`: whoever connects could claim any address, and so escape the limits.
    trustProxy: config.TRUST_PROXY.length > 0 && config.TRUST_PROXY,
    genReqId: () => randomUUID(),
    // The largest body of the contract, a sign-up, is below 2 KiB.
    bodyLimit: 16 * 1024,
    routerOptions: { caseSensitive: false, ignoreTrailingSlash: true },
    // A slow body is cut by Node's own check, which runs only every 30 s unless told otherwise.
    requestTimeout: 5000,
    http: { requestTimeout: 5000, headersTimeout: 5000, connectionsCheckingInterval: 1000 },
    // Waiting for the database at start takes as long as its setting says.
    pluginTimeout: 0,
    frameworkErrors: sendError,
    clientErrorHandler: answerBadConnection
  })
  const folder = (name: string) => ({ dir: join(import.meta.dirname, '..', name), forceESM: true, options: { config } })
  await app.register(autoload, folder('plugins'))
  await app.register(autoload, folder('routes'))
  return app
}
