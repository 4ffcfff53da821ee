import pLimit, { type LimitFunction } from 'p-limit'
import { ApiError } from '../errors.ts'

/** Queues the work of requests, for each key apart, such as a user or a network. */
export class RequestQueues {
  readonly #limits = new Map<string, LimitFunction>()
  readonly #concurrency: number
  readonly #patience: number

  /**
   * @param concurrency how much work of one key runs at once
   * @param patience seconds for which work waits. The time counts as time waiting for a connection: while the database
   * is unavailable, the first ones wait for a connection, and the others must not wait for another one after them
   */
  constructor (concurrency: number, patience: number) {
    this.#concurrency = concurrency
    this.#patience = patience
  }

  /** @throws ApiError BUSY if the work has waited for too long, and what `work` throws */
  async run<Result> (key: string, work: () => Promise<Result>): Promise<Result> {
    const limit = this.#limits.get(key) ?? pLimit(this.#concurrency)
    this.#limits.set(key, limit)
    const deadline = performance.now() + this.#patience * 1000
    try {
      return await limit(async () => {
        if (performance.now() > deadline) throw new ApiError('BUSY')
        return await work()
      })
    } finally {
      if (limit.activeCount + limit.pendingCount === 0 && this.#limits.get(key) === limit) this.#limits.delete(key)
    }
  }
}
