import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { FastifyBaseLogger } from 'fastify'
import { Backoff } from '../backoff.ts'
import { type Config, settingSchemas } from '../config/read-settings.ts'

/** Default size of libuv's thread pool (docs.libuv.org, "Thread pool work scheduling"). */
const THREADS = 4

/** Messages from the primary to a worker. */
export const CLOSE = 'close'
export const RELOAD = 'reload'

/**
 * The settings as environment variables for workers. They include what the primary has determined, such as the database
 * and the secret of development mode.
 */
export function toEnvironment (config: Config): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(config).map(([name, value]) => [name, toText(name, value)])),
    // libuv reads it when it starts its threads, before any of our code runs, so only a parent process can set it.
    UV_THREADPOOL_SIZE: String(Math.max(THREADS, config.ARGON2_CONCURRENCY + 1))
  }
}

const toText = (name: string, value: unknown): string =>
  settingSchemas.get(name)?.lines && Array.isArray(value) ? value.join('\n') : String(value)

/** The worker processes, managed by the primary. The primary serves no requests, so none can crash it. */
export class Workers {
  readonly #count: number
  readonly #environment: Record<string, string>
  readonly #log: Pick<FastifyBaseLogger, 'warn'>
  readonly #running = new Set<Worker>()
  readonly #delays = new Set<NodeJS.Timeout>()
  #closing = false

  constructor (config: Config, log: Pick<FastifyBaseLogger, 'warn'>) {
    this.#count = config.WORKERS
    this.#environment = toEnvironment(config)
    this.#log = log
  }

  /**
   * Starts one worker, and the others once it listens. An error that prevents the start, such as a port in use, is then
   * reported only once, and ends the service.
   * @returns the port that the workers share; undefined if they are already closing
   */
  async start (): Promise<number | undefined> {
    const first = this.#fork()
    let port: number | undefined
    first.once('listening', address => { port = address.port })
    await Promise.race([once(first, 'listening'), once(first, 'exit')])
    if (this.#closing) return undefined
    if (port === undefined) throw new Error('The first worker did not start.')
    this.#replaceOnExit(first)
    for (let others = this.#count - 1; others > 0; others--) this.#replaceOnExit(this.#fork())
    return port
  }

  /** Makes every worker reload its keys. A worker that is still starting loads the current file. */
  reload (): void {
    for (const worker of this.#running) worker.send(RELOAD, () => {})
  }

  /** @throws Error if a worker was killed or failed to close */
  async close (): Promise<void> {
    this.#closing = true
    for (const delay of this.#delays) clearTimeout(delay)
    const codes = await Promise.all([...this.#running].map(closeWorker))
    if (codes.some(code => code !== 0)) throw new Error('A worker exited with an error.')
  }

  #fork (): Worker {
    const worker = cluster.fork(this.#environment)
    this.#running.add(worker)
    worker.once('exit', () => { this.#running.delete(worker) })
    return worker
  }

  /** @param backoff starts over once a replacement listens; it grows while, for example, the database is unavailable */
  #replaceOnExit (worker: Worker, backoff = new Backoff(100, 10_000)): void {
    worker.once('listening', () => { backoff.reset() })
    worker.once('exit', (code: number | null, signal: string | null) => {
      if (this.#closing) return
      const ms = backoff.next()
      this.#log.warn({ pid: worker.process.pid, code, signal }, `worker exited, starting another in ${ms} ms`)
      const delay = setTimeout(() => {
        this.#delays.delete(delay)
        this.#replaceOnExit(this.#fork(), backoff)
      }, ms)
      this.#delays.add(delay)
    })
  }
}

/**
 * Closes a worker by message, since a signal would kill a worker that is still loading.
 * @returns the exit code; null if a signal ended the worker
 */
async function closeWorker (worker: Worker): Promise<number | null> {
  const exited = once(worker, 'exit')
  // Repeated, because a worker that is still loading has no listener yet. A message that cannot be sent is ignored: the
  // worker is exiting.
  const send = () => { worker.send(CLOSE, () => {}) }
  const sending = setInterval(send, 100)
  send()
  await exited
  clearInterval(sending)
  return worker.process.exitCode
}
