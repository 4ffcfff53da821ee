import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Backoff } from '../src/backoff.ts'

/** The content of a notification: the id of the user whose sessions are invalid, or all users. */
export type Invalidation = number | 'all'

interface ListenerOptions {
  connectionString: string
  /** seconds to wait for a connection */
  connectTimeout: number
  /** seconds between two checks of the connection */
  heartbeat: number
  onInvalidation (invalidation: Invalidation): void
  /** called for each new connection: a notification may have been missed before it */
  onStart (): void
  onLost (reason: string): void
}

/** Milliseconds that a heartbeat may be late before cached sessions are no longer used. */
const SLACK = 500

// PostgreSQL treats this as an empty query. Its response follows every notification that is due.
const HEARTBEAT = '-- gatehouse heartbeat'

/** The connection that receives the notifications of the triggers in migration 0002. */
export class InvalidationListener {
  readonly #options: ListenerOptions
  readonly #stopped = new AbortController()
  readonly #backoff = new Backoff(100, 2000)
  #currentUntil = 0
  #running: Promise<void> = Promise.resolve()

  constructor (options: ListenerOptions) {
    this.#options = options
  }

  /** Whether every notification older than the heartbeat plus half a second has been received. */
  isCurrent (): boolean {
    // The monotonic clock, not a timer: neither a changed clock nor SIGSTOP can extend it.
    return performance.now() < this.#currentUntil
  }

  /** Listens until `stop`, reconnecting whenever the connection is lost. Resolves after the first attempt. */
  async start (): Promise<void> {
    await new Promise<void>(resolve => { this.#running = this.#run(resolve) })
  }

  async stop (): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run (onAttempt: () => void): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const reason = await this.#listen(() => {
        this.#backoff.reset()
        onAttempt()
      })
      this.#currentUntil = 0
      onAttempt()
      if (this.#stopped.signal.aborted) return
      this.#options.onLost(reason)
      await this.#pause(this.#backoff.next())
    }
  }

  /** Uses one connection until it ends. @returns why it ended */
  async #listen (onHeartbeat: () => void): Promise<string> {
    const { connectionString, connectTimeout, heartbeat } = this.#options
    const client = new pg.Client({
      connectionString,
      application_name: 'gatehouse invalidations',
      connectionTimeoutMillis: connectTimeout * 1000,
      // Replaces a connection whose packets are silently dropped: no event reports that.
      query_timeout: heartbeat * 1000 + 2000,
      keepAlive: true
    })
    const lost = new AbortController()
    client.on('error', error => { lost.abort(error) })
    client.on('end', () => { lost.abort(new Error('the server closed the connection')) })
    client.on('notification', ({ payload = '' }) => {
      this.#options.onInvalidation(payload === '*' ? 'all' : Number(payload))
    })
    const ended = AbortSignal.any([lost.signal, this.#stopped.signal])
    // Closes the socket at once, even while a statement is pending.
    const close = () => { client.end().catch(() => {}) }
    ended.addEventListener('abort', close)
    const reason = await this.#check(client, ended, onHeartbeat).catch(String)
    close()
    return reason
  }

  async #check (client: pg.Client, ended: AbortSignal, onHeartbeat: () => void): Promise<string> {
    const { heartbeat, onStart } = this.#options
    await client.connect()
    await client.query('LISTEN gatehouse_invalidation')
    onStart()
    while (!ended.aborted) {
      const sent = performance.now()
      await client.query(HEARTBEAT)
      this.#currentUntil = sent + heartbeat * 1000 + SLACK
      onHeartbeat()
      await this.#pause(heartbeat * 1000, ended)
    }
    return String(ended.reason)
  }

  async #pause (ms: number, signal = this.#stopped.signal): Promise<void> {
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
  }
}
