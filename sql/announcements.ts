import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** What a trigger announces: the id of the user whose authority changed, or everybody's. */
export type Change = number | 'everybody'

interface Options {
  connectionString: string
  /** seconds to wait for a connection */
  connectTimeout: number
  /** seconds between two proofs that the connection is alive */
  heartbeat: number
  onChange (change: Change): void
  /** the connection is new: what was known before it may have missed a change */
  onStart (): void
  onLost (reason: string): void
}

/** How much later than the heartbeat its answer may come, in milliseconds, before the connection is in doubt. */
const SLACK = 500

/** The first of the delays between two connections, and the longest, in milliseconds. */
const BACK_OFF = { first: 100, longest: 2000 }

// To the server an empty query: it is answered after all announcements that are due, and asks nothing of the planner.
const HEARTBEAT = '-- gatehouse heartbeat'

/** The connection on which the triggers' announcements of migration 0002 arrive. */
export class Announcements {
  readonly #options: Options
  readonly #stopped = new AbortController()
  #provenUntil = 0
  #running: Promise<void> = Promise.resolve()

  constructor (options: Options) {
    this.#options = options
  }

  /** Whether no announcement can have been missed for longer than the heartbeat and half a second. */
  isProven (): boolean {
    // The monotonic clock rather than a timer: a process that was stopped and goes on must not trust at once.
    return performance.now() < this.#provenUntil
  }

  /** Listens until `stop`, connecting again whenever the connection is lost. Resolves after the first attempt. */
  async start (): Promise<void> {
    await new Promise<void>(resolve => { this.#running = this.#run(resolve) })
  }

  async stop (): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #run (onAttempt: () => void): Promise<void> {
    let delay = BACK_OFF.first
    while (!this.#stopped.signal.aborted) {
      const reason = await this.#listen(() => {
        delay = BACK_OFF.first
        onAttempt()
      })
      this.#provenUntil = 0
      onAttempt()
      if (this.#stopped.signal.aborted) return
      this.#options.onLost(reason)
      await this.#pause(delay)
      delay = Math.min(delay * 2, BACK_OFF.longest)
    }
  }

  /** One connection, from its first to its last moment. @returns why it ended */
  async #listen (onProven: () => void): Promise<string> {
    const { connectionString, connectTimeout, heartbeat } = this.#options
    const client = new pg.Client({
      connectionString,
      application_name: 'gatehouse announcements',
      connectionTimeoutMillis: connectTimeout * 1000,
      // A connection that is silent for longer is replaced: behind a black hole nothing else would tell.
      query_timeout: heartbeat * 1000 + 2000,
      keepAlive: true
    })
    const ended = new AbortController()
    client.on('error', error => ended.abort(error))
    client.on('end', () => ended.abort(new Error('the server closed the connection')))
    client.on('notification', ({ payload = '' }) => this.#options.onChange(payload === '*' ? 'everybody' : Number(payload)))
    const over = AbortSignal.any([ended.signal, this.#stopped.signal])
    // Closes the socket at once where a statement is still unanswered.
    const close = () => { client.end().catch(() => {}) }
    over.addEventListener('abort', close)
    const reason = await this.#converse(client, over, onProven).catch(String)
    close()
    return reason
  }

  async #converse (client: pg.Client, over: AbortSignal, onProven: () => void): Promise<string> {
    const { heartbeat, onStart } = this.#options
    await client.connect()
    await client.query('LISTEN gatehouse_authority')
    onStart()
    while (!over.aborted) {
      const sent = performance.now()
      await client.query(HEARTBEAT)
      this.#provenUntil = sent + heartbeat * 1000 + SLACK
      onProven()
      await this.#pause(heartbeat * 1000, over)
    }
    return String(over.reason)
  }

  async #pause (ms: number, signal = this.#stopped.signal): Promise<void> {
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
  }
}
