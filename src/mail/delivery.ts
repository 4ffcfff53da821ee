import type { FastifyBaseLogger } from 'fastify'
import { Backoff, pause } from '../backoff.ts'
import { DeliveryError } from './delivery-error.ts'
import type { MailMetrics } from './mail-metrics.ts'
import type { Outlet, Prepared } from './outlet.ts'
import { retryDelay } from './retry.ts'

/** A mail that this process is to send. */
export interface ClaimedMail {
  id: string
  kind: string
  recipient: string
  userId: number | null
  data: Record<string, unknown>
  /** this one included */
  attempts: number
  /** seconds since it was queued */
  age: number
}

/** The mails in the database. Every function throws if the database fails. */
interface Outbox {
  /** Claims up to `limit` mails that are due. No other process gets them for `lease` seconds. */
  claim (limit: number, lease: number): Promise<ClaimedMail[]>
  /** @returns undefined if there is nothing to send; the mail is then marked as dropped */
  prepare (mail: ClaimedMail): Promise<Prepared | undefined>
  markSent (mail: ClaimedMail): Promise<void>
  markFailed (mail: ClaimedMail): Promise<void>
  postpone (mail: ClaimedMail, seconds: number): Promise<void>
  /** The number of mails that have yet to be sent, and the age of the oldest in seconds. */
  measure (): Promise<{ count: number, age: number }>
}

export interface DeliveryOptions {
  outbox: Outbox
  outlet: Outlet
  metrics: MailMetrics
  log: FastifyBaseLogger
}

/** Seconds for which a claim lasts; longer than an attempt, which the transport limits to one minute. */
export const LEASE = 180

/** Milliseconds between two attempts to store an outcome: the first, and the longest. */
const [STORE, MAX_STORE] = [500, 8000]

/** Sends single mails, and stores what became of them. */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #stopped: AbortSignal

  /** @param stopped after which an outcome that cannot be stored is given up */
  constructor (options: DeliveryOptions, stopped: AbortSignal) {
    this.#options = options
    this.#stopped = stopped
  }

  /** Never rejects. */
  async deliver (mail: ClaimedMail): Promise<void> {
    const { outbox, outlet, metrics, log } = this.#options
    const fields = fieldsOf(mail)
    try {
      const prepared = await outbox.prepare(mail)
      if (!prepared) {
        metrics.count('dropped')
        log.debug(fields, 'mail dropped')
        return
      }
      const details = await outlet.send(mail, prepared)
      metrics.count('sent')
      log.info({ ...fields, ...details }, 'mail sent')
    } catch (error) {
      await this.#retry(mail, error)
      return
    }
    await this.#store(mail, async () => { await outbox.markSent(mail) })
  }

  async #retry (mail: ClaimedMail, error: unknown): Promise<void> {
    const { outbox, metrics, log } = this.#options
    const fields = { ...fieldsOf(mail), ...error instanceof DeliveryError ? error.fields : { err: error } }
    const isPermanent = error instanceof DeliveryError && error.isPermanent
    const seconds = isPermanent ? undefined : retryDelay(mail.attempts, mail.age)
    metrics.count(seconds === undefined ? 'failed' : 'retried')
    if (seconds === undefined) {
      log.error(fields, 'mail failed')
      await this.#store(mail, async () => { await outbox.markFailed(mail) })
    } else {
      log.warn({ ...fields, seconds }, 'mail delayed')
      await this.#store(mail, async () => { await outbox.postpone(mail, seconds) })
    }
  }

  /** Stores an outcome, again while the database fails: a mail that was sent would otherwise be sent again. */
  async #store (mail: ClaimedMail, store: () => Promise<void>): Promise<void> {
    const backoff = new Backoff(STORE, MAX_STORE)
    const deadline = Date.now() + LEASE * 1000
    for (;;) {
      try {
        await store()
        return
      } catch (error) {
        if (this.#stopped.aborted || Date.now() > deadline) {
          this.#options.log.warn({ ...fieldsOf(mail), err: error }, 'the outcome of a mail was not stored')
          return
        }
        await pause(backoff.next(), this.#stopped)
      }
    }
  }
}

const fieldsOf = ({ id, kind, userId, attempts }: ClaimedMail) => ({ mail: id, kind, userId, attempts })
