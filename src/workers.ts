import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import type { TSchema } from '@sinclair/typebox'
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from './config.ts'
import { settings } from './settings.ts'

/**
 * The pause before a worker that ended is replaced, in milliseconds. It doubles while the next ones do not come to
 * listen (the database is away, say); one that served and ended is replaced soon.
 */
const BACK_OFF = { first: 100, longest: 10_000 }

/** libuv's own number of threads (docs.libuv.org, "Thread pool work scheduling"). */
const THREADS = 4

/** What the primary tells a worker: that it should close, that it should read its keys again. */
export const CLOSE = 'close'
export const RELOAD = 'reload'

/**
 * The settings as text again, for the environment of the workers: they need what the primary found out (a
 * playground's database and secret), and read every other setting as it did.
 */
export function toEnvironment (config: Config): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(config).map(([name, value]) => [name, toText(name, value)])),
    // libuv reads it when it starts its threads, which is before any of our code runs: only a parent can set it.
    UV_THREADPOOL_SIZE: String(Math.max(THREADS, config.ARGON2_CONCURRENCY + 1))
  }
}

function toText (name: string, value: unknown): string {
  const lines = Object.entries<TSchema>(settings.properties).some(([key, schema]) => key === name && schema['lines'])
  return lines && Array.isArray(value) ? value.join('\n') : String(value)
}

/** The processes of WORKERS, seen from the primary: it serves nothing itself, so that nothing of a request ends it. */
export class Workers {
  readonly #count: number
  readonly #environment: Record<string, string>
  readonly #log: Pick<FastifyBaseLogger, 'warn'>
  readonly #living = new Set<Worker>()
  readonly #pauses = new Set<NodeJS.Timeout>()
  #closing = false

  constructor (config: Config, log: Pick<FastifyBaseLogger, 'warn'>) {
    this.#count = config.WORKERS
    this.#environment = toEnvironment(config)
    this.#log = log
  }

  /**
   * Starts one, and the others once it listens: what keeps it from starting (a taken port, a refused login) is then
   * said once and ends the service, as it does without workers.
   */
  async start (): Promise<void> {
    const first = this.#fork()
    const listens = await Promise.race([once(first, 'listening').then(() => true), once(first, 'exit').then(() => false)])
    if (this.#closing) return
    if (!listens) throw new Error('The first worker did not start.')
    this.#replaceAtEnd(first)
    for (let others = this.#count - 1; others > 0; others--) this.#replaceAtEnd(this.#fork())
  }

  /** Has every worker read its keys again; one that is just starting reads them anyway. */
  reload (): void {
    for (const worker of this.#living) worker.send(RELOAD, () => {})
  }

  /** @throws Error where a worker did not end by itself */
  async close (): Promise<void> {
    this.#closing = true
    for (const pause of this.#pauses) clearTimeout(pause)
    const codes = await Promise.all([...this.#living].map(endOf))
    if (codes.some(code => code !== 0)) throw new Error('A worker had to be ended by force.')
  }

  #fork (): Worker {
    const worker = cluster.fork(this.#environment)
    this.#living.add(worker)
    worker.once('exit', () => this.#living.delete(worker))
    return worker
  }

  #replaceAtEnd (worker: Worker, pause = BACK_OFF.first): void {
    let next = pause
    worker.once('listening', () => { next = BACK_OFF.first })
    worker.once('exit', (code: number | null, signal: string | null) => {
      if (this.#closing) return
      this.#log.warn({ pid: worker.process.pid, code, signal }, `a worker ended, the next one starts in ${next} ms`)
      const waiting = setTimeout(() => {
        this.#pauses.delete(waiting)
        this.#replaceAtEnd(this.#fork(), Math.min(next * 2, BACK_OFF.longest))
      }, next)
      this.#pauses.add(waiting)
    })
  }
}

/**
 * Has a worker close by word, not by signal: Ctrl-C and systemd signal it themselves, and would be the second signal,
 * which forces.
 * @returns its exit code, null where a signal ended it
 */
async function endOf (worker: Worker): Promise<number | null> {
  const ended = once(worker, 'exit')
  // Said until it is heard: one that is still loading has no ear yet. One that is just ending cannot be told any more.
  const tell = () => worker.send(CLOSE, () => {})
  const telling = setInterval(tell, 100)
  tell()
  const [code]: Array<number | null> = await ended
  clearInterval(telling)
  return code ?? null
}
