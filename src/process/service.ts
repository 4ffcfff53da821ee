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
import { publishMetrics, serveClusterMetrics } from './metrics-server.ts'
import { Workers } from './workers.ts'

type Closable = { close (): Promise<unknown> }

/** The service of a process: the app itself, or the primary of its workers, with the database of development mode. */
export class Service {
  readonly #settings: Settings
  readonly #stream: LogStream
  #development: Promise<Closable> | undefined
  #starting: Promise<FastifyInstance> | undefined
  #app: FastifyInstance | undefined
  #workers: Workers | undefined
  /** Whether the start has finished. The errors before that concern the settings, the port or the database. */
  isListening = false

  constructor (settings: Settings, stream: LogStream) {
    this.#settings = settings
    this.#stream = stream
  }

  /** @returns the log */
  async start (): Promise<FastifyBaseLogger> {
    const completing = completeSettings(this.#settings, { onRestart: message => { this.#app?.log.warn(message) } })
    this.#development = completing
    const { config } = await completing
    const log = config.WORKERS > 1 && cluster.isPrimary ? await this.#startWorkers(config) : await this.#listen(config)
    if (isDevelopment(this.#settings)) {
      log.warn(`Development mode: anybody may sign up as ${config.SIGNUP_ROLES.join(', ')}, and the data is in ` +
        `${config.DATA_DIR}. For production, set DATABASE_URL and JWT_SECRET.`)
    }
    this.isListening = true
    return log
  }

  /** Reloads the keys, of all workers as well. An app that is still starting does so once it has started. */
  reload (): void {
    this.#starting?.then(({ accessTokens }) => { accessTokens.reload() }, () => {})
    this.#workers?.reload()
  }

  /** Serves pending requests, closes the pool, then stops the embedded PostgreSQL, even if that is still starting. */
  async close ({ drain }: { drain: boolean }): Promise<void> {
    if (drain && this.#app) {
      this.#app.drain()
      await sleep(this.#settings.DRAIN_DELAY * 1000)
    }
    await this.#app?.close()
    await this.#workers?.close()
    await (await this.#development?.catch(() => undefined))?.close()
  }

  async #listen (config: Config): Promise<FastifyBaseLogger> {
    this.#starting = buildApp(config, this.#stream)
    const app = this.#app = await this.#starting
    try {
      await app.listen({ host: config.HOST, port: config.PORT })
    } catch (error) {
      throw explainListenError(error, config)
    }
    await publishMetrics(app, config)
    return app.log
  }

  async #startWorkers (config: Config): Promise<FastifyBaseLogger> {
    const log = pino(logOptions(config), this.#stream)
    this.#workers = new Workers(config, log)
    await this.#workers.start()
    await serveClusterMetrics(config, log)
    return log
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
  const message = messages[errorCode(error)]
  return message === undefined ? error : new Error(message, { cause: error })
}
