import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Backoff, pause } from '../src/backoff.ts'
import { errorMessage } from '../src/unknown.ts'
import { ListeningConnection, type ListeningOptions } from './listening-connection.ts'

/** The content of a notification: the id of the user whose sessions are invalid, or all users. */
type Invalidation = number | 'all'

interface ListenerOptions extends Omit<ListeningOptions, 'onPayload'> {
  /** sends the content of a notification through the pool */
  sendProof (proof: string): Promise<unknown>
  onInvalidation (invalidation: Invalidation): void
  /** called whenever invalidations begin to be received: some may have been missed before */
  onStart (): void
  onLost (reason: string): void
}

/** Milliseconds that a heartbeat may be late before cached sessions are no longer used. */
const SLACK = 500

/** Heartbeats between two proofs. */
const PROOF_INTERVAL = 10

/** Heartbeats for which a proof is trusted. */
const PROOF_VALIDITY = 30

/** Receives the notifications of the triggers in migration 0002. */
export class InvalidationListener {
  readonly #options: ListenerOptions
  readonly #stopped = new AbortController()
  readonly #backoff = new Backoff(100, 2000)
  #currentUntil = 0
  #provenUntil = 0
  #running: Promise<void> = Promise.resolve()

  constructor (options: ListenerOptions) {
    this.#options = options
  }

  /**
   * Whether cached sessions may be used: the last successful check was sent at most a heartbeat plus half a second ago,
   * and the last successful proof at most 30 heartbeats ago.
   */
  isCurrent (): boolean {
    // The monotonic clock, not a timer: neither a changed clock nor SIGSTOP can extend it.
    return performance.now() < Math.min(this.#currentUntil, this.#provenUntil)
  }

  /** Listens until `stop`, reconnecting whenever the connection is lost. Resolves after the first attempt. */
  async start (): Promise<void> {
    await new Promise<void>(resolve => { this.#running = this.#run(resolve) })
  }

  async stop (): Promise<void> {
    this.#stopped.abort('stopped')
    await this.#running
  }

  async #run (onAttempt: () => void): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      const reason = await this.#listen(onAttempt)
      this.#currentUntil = 0
      this.#provenUntil = 0
      onAttempt()
      if (this.#stopped.signal.aborted) return
      this.#options.onLost(reason)
      await pause(this.#backoff.next(), this.#stopped.signal)
    }
  }

  /** Uses one connection until it ends. @returns why it ended */
  async #listen (onAttempt: () => void): Promise<string> {
    const connection = new ListeningConnection({ ...this.#options, onPayload: payload => { this.#receive(payload) } })
    const stop = () => { connection.close('stopped') }
    this.#stopped.signal.addEventListener('abort', stop)
    try {
      await connection.open()
      await this.#check(connection)
      if (await this.#prove(connection)) {
        this.#options.onStart()
        this.#backoff.reset()
        onAttempt()
        return await this.#watch(connection)
      }
    } catch (error) {
      connection.close(errorMessage(error))
    }
    this.#stopped.signal.removeEventListener('abort', stop)
    return String(connection.lost.reason)
  }

  /** Checks the connection every heartbeat, and proves it now and then. @throws once it is no longer to be trusted */
  async #watch (connection: ListeningConnection): Promise<never> {
    const wait = { signal: connection.lost, ref: false }
    for (let beat = 1; ; beat++) {
      await sleep(this.#options.heartbeat * 1000, undefined, wait)
      await this.#check(connection)
      // Not awaited: heartbeats go on while the pool is busy. A proof that could not be sent says nothing about this
      // connection, and the next one is in time.
      if (beat % PROOF_INTERVAL === 0) this.#prove(connection).catch(() => {})
      if (performance.now() > this.#provenUntil) {
        throw new Error(`no notification sent through DATABASE_URL has arrived for ${PROOF_VALIDITY} heartbeats`)
      }
    }
  }

  async #check (connection: ListeningConnection): Promise<void> {
    const sent = performance.now()
    await connection.check()
    this.#currentUntil = sent + this.#options.heartbeat * 1000 + SLACK
  }

  async #prove (connection: ListeningConnection): Promise<boolean> {
    const sent = performance.now()
    const isProven = await connection.prove(this.#options.sendProof)
    if (isProven) this.#provenUntil = sent + PROOF_VALIDITY * this.#options.heartbeat * 1000
    return isProven
  }

  #receive (payload: string): void {
    if (payload === '*') this.#options.onInvalidation('all')
    else if (/^\d+$/.test(payload)) this.#options.onInvalidation(Number(payload))
  }
}
