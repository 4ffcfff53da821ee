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
