import { setTimeout as sleep } from 'node:timers/promises'

/** Exponential back-off between attempts: each delay is twice the one before, up to the maximum. */
export class Backoff {
  readonly #first: number
  readonly #max: number
  #next: number

  /** Both in milliseconds. */
  constructor (first: number, max: number) {
    this.#first = first
    this.#max = max
    this.#next = first
  }

  /** @returns the delay before the next attempt, in milliseconds */
  next (): number {
    const delay = this.#next
    this.#next = Math.min(delay * 2, this.#max)
    return delay
  }

  /** Starts over with the first delay, after a success. */
  reset (): void {
    this.#next = this.#first
  }
}

/** Waits for some milliseconds, or until the signal, without keeping the process alive. */
export const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
