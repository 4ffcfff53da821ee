import { Backoff, pause } from '../backoff.ts'
import { Delivery, type DeliveryOptions, LEASE } from './delivery.ts'

/** Mails that a process sends at once. */
const MAX_ACTIVE = 5

/** Milliseconds between two polls for mails that are due: usually, and at most while the database fails. */
const [POLL, MAX_POLL] = [5000, 30_000]

/** Milliseconds between two measurements of the backlog. */
const MEASURE = 5000

/** Sends the mails of an outbox, several at once, until it is closed. */
export class Sender {
  readonly #options: DeliveryOptions
  readonly #active = new Set<Promise<void>>()
  readonly #stopped = new AbortController()
  readonly #delivery: Delivery
  #waking = new AbortController()
  #running: Promise<void> | undefined
  #measuredAt = 0

  constructor (options: DeliveryOptions) {
    this.#options = options
    this.#delivery = new Delivery(options, this.#stopped.signal)
  }

  start (): void {
    this.#running = this.#run()
  }

  /** Looks for mails now instead of at the next poll. */
  wake (): void {
    this.#waking.abort()
  }

  /** Waits for the mails in progress, whose attempts are ended after `grace` milliseconds. */
  async close (grace: number): Promise<void> {
    this.#stopped.abort()
    this.wake()
    await this.#running
    const forced = setTimeout(() => { this.#options.outlet.abort() }, grace)
    await Promise.all(this.#active)
    clearTimeout(forced)
  }

  async #run (): Promise<void> {
    const backoff = new Backoff(POLL, MAX_POLL)
    while (!this.#stopped.signal.aborted) {
      // Before the claim: a mail that is queued during it shortens the pause.
      this.#waking = new AbortController()
      let ms = POLL
      try {
        await this.#claim()
        await this.#measure()
        backoff.reset()
      } catch (error) {
        ms = backoff.next()
        this.#options.log.warn({ err: error }, 'mails cannot be claimed')
      }
      // A random time, so that processes that started together do not poll together.
      await pause(ms * (0.5 + Math.random()), this.#waking.signal)
    }
  }

  async #claim (): Promise<void> {
    const free = MAX_ACTIVE - this.#active.size
    const mails = free > 0 ? await this.#options.outbox.claim(free, LEASE) : []
    for (const mail of mails) {
      const delivery = this.#delivery.deliver(mail).finally(() => {
        this.#active.delete(delivery)
        this.wake()
      })
      this.#active.add(delivery)
    }
  }

  async #measure (): Promise<void> {
    if (Date.now() < this.#measuredAt + MEASURE) return
    const { count, age } = await this.#options.outbox.measure()
    this.#options.metrics.setBacklog(count, age)
    this.#measuredAt = Date.now()
  }
}
