import fp from 'fastify-plugin'
import pLimit from 'p-limit'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { loadArgon2 } from '../src/passwords/argon2.ts'
import { isRunnable, needsRehash } from '../src/passwords/hash-cost.ts'

export interface Passwords {
  /** @returns an argon2id hash as a PHC string. @throws ApiError BUSY */
  hash (password: string): Promise<string>
  /**
   * Verifies a password. Without a hash it verifies a dummy hash and returns false, so that an unknown user takes as
   * long as a wrong password.
   * @throws ApiError BUSY
   */
  verify (hash: string | undefined, password: string): Promise<boolean>
  /**
   * Hashes a password again, if the cost in the settings was raised since.
   * @param hash of the password, which was just verified
   * @returns undefined if the hash is up to date or the queue is full: the next sign-in retries
   */
  rehash (hash: string, password: string): Promise<string | undefined>
  /** Hashes in progress, and those in the queue. */
  load (): { inProgress: number, queued: number }
}

declare module 'fastify' {
  interface FastifyInstance {
    passwords: Passwords
  }
}

/**
 * argon2id behind a bounded queue. A hash occupies a core and 19 MiB for about 30 ms: without the bound, a flood of
 * sign-ins would exhaust the memory and the thread pool that everything else shares.
 */
export default fp<{ config: Config }>(async function passwords (fastify, { config }) {
  const cost = { memory: config.ARGON2_MEMORY_KIB, time: config.ARGON2_TIME, parallelism: 1 }
  const argon2 = await loadArgon2()
  fastify.log.debug(`passwords are hashed by ${argon2.name}`)
  const limit = pLimit(config.ARGON2_CONCURRENCY)

  const isFull = () => limit.activeCount + limit.pendingCount >= config.ARGON2_CONCURRENCY + config.ARGON2_QUEUE

  async function run<T> (work: () => Promise<T>): Promise<T> {
    if (isFull()) throw new ApiError('BUSY')
    return await limit(work)
  }

  const hash = async (password: string) => await run(async () => await argon2.hash(password, cost))
  const dummyHash = await argon2.hash('the password of no user', cost)

  fastify.decorate('passwords', {
    hash,

    async verify (stored, password) {
      const runnable = stored !== undefined && isRunnable(stored)
      if (stored !== undefined && !runnable) fastify.log.error('a stored password hash is not argon2id or too costly')
      const matches = await run(async () => await argon2.verify(runnable ? stored : dummyHash, password))
      return runnable && matches
    },

    rehash: async (stored, password) => needsRehash(stored, cost) && !isFull() ? await hash(password) : undefined,

    load: () => ({ inProgress: limit.activeCount, queued: limit.pendingCount })
  })
}, { name: 'passwords', fastify: '5.x' })
