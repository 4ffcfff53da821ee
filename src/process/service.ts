import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import pino from 'pino'
import { buildApp } from '../app.ts'
import { type Config, isDevelopment } from '../config/read-settings.ts'
import type { Settings } from '../config/settings.ts'
import { logOptions, type LogStream } from '../telemetry/log-options.ts'
import { errorCode } from '../unknown.ts'
import { completeSettings } from './development-mode.ts'
import { answerPrimary, publishMetrics, serveClusterMetrics } from './metrics-server.ts'
import { Workers } from './workers.ts'

interface Started {
  log: FastifyBaseLogger
  /** the port that PORT=0 picked; otherwise PORT */
  port: number
}

/** The service of a process: the app itself, or the primary of its workers, with the database of development mode. */
export class Service {
  readonly #settings: Settings
  readonly #stream: LogStream
  #development: Promise<{ close (): Promise<void> }> | undefined
  #starting: Promise<FastifyInstance> | undefined
  #app: FastifyInstance | undefined
  #workers: Workers | undefined
  #log: FastifyBaseLogger | undefined

  constructor (settings: Settings, stream: LogStream) {
    this.#settings = settings
    this.#stream = stream
  }

  /** Whether the start has finished. Errors before that concern the settings, the port or the database. */
  get hasStarted (): boolean {
    return this.#log !== undefined
  }

  async start (): Promise<Started> {
    const completing = completeSettings(this.#settings, { onRestart: message => { this.#log?.warn(message) } })
    this.#development = completing
    const { config } = await completing
    const hasWorkers = config.WORKERS > 1 && cluster.isPrimary
    const started = hasWorkers ? await this.#startWorkers(config) : await this.#listen(config)
    this.#log = started.log
    if (isDevelopment(this.#settings)) {
      started.log.warn(`Development mode: anybody may sign up as ${config.SIGNUP_ROLES.join(', ')}, and the data is in ` +
        `${config.DATA_DIR}. For production, set DATABASE_URL and JWT_SECRET.`)
    }
    return started
  }

  /** Reloads the keys, of all workers as well. An app that is still starting does so once it has started. */
  reload (): void {
    this.#starting?.then(({ accessTokens }) => { accessTokens.reload() }, () => {})
    this.#workers?.reload()
  }

  /** Serves pending requests, closes the pool, then stops the embedded PostgreSQL, even if that is still starting. */
  async close ({ drain, signal }: { drain: boolean, signal: string | undefined }): Promise<void> {
    this.#log?.info({ signal }, 'Stopping')
    if (drain && this.#app) {
      this.#app.drain()
      await sleep(this.#settings.DRAIN_DELAY * 1000)
    }
    try {
      await this.#app?.close()
      await this.#workers?.close()
    } finally {
      await (await this.#development?.catch(() => undefined))?.close()
    }
  }

  async #listen (config: Config): Promise<Started> {
    if (cluster.isWorker) answerPrimary()
    this.#starting = buildApp(config, this.#stream)
    const app = this.#app = await this.#starting
    const address = await app.listen({ host: config.HOST, port: config.PORT }).catch((error: unknown) => {
      throw explainListenError(error, config)
    })
    await publishMetrics(app, config)
    return { log: app.log, port: Number(new URL(address).port) }
  }

  async #startWorkers (config: Config): Promise<Started> {
    const log = pino(logOptions(config), this.#stream)
    this.#workers = new Workers(config, log)
    const port = await this.#workers.start() ?? config.PORT
    await serveClusterMetrics(config, log)
    return { log, port }
  }
}

/** An error of `listen` with a message that says what to do; the error itself if it is unknown. */
function explainListenError (error: unknown, { HOST, PORT }: Config): unknown {
  const messages: Record<string, string> = {
    EADDRINUSE: `Port ${PORT} is in use. Set PORT to another port.`,
    EACCES: `This user may not listen on port ${PORT}. Set PORT to a port above 1023.`,
    EADDRNOTAVAIL: `${HOST} is not an address of this machine. Set HOST to one, or to 0.0.0.0 for all of them.`,
    ENOTFOUND: `The host name ${HOST} is unknown. Set HOST to an address of this machine.`
  }
  const message = messages[String(errorCode(error))]
  return message === undefined ? error : new Error(message, { cause: error })
}
