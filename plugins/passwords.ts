import fastq from 'fastq'
import fp from 'fastify-plugin'
import { loadArgon2 } from '../src/argon2.ts'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { isRunnable, isWeaker } from '../src/passwords.ts'

export interface Passwords {
  /** An argon2id hash as a PHC string. @throws ApiError BUSY */
  hash (password: string): Promise<string>
  /**
   * Whether a password is the one of a hash. Without a hash (no such user) it works as long and answers false.
   * @throws ApiError BUSY
   */
  verify (hash: string | undefined, password: string): Promise<boolean>
  /** A stronger hash of a password that was just verified, where the settings have risen since its hash was made. */
  strengthen (hash: string, password: string): Promise<string | undefined>
  /** Passwords that are hashed now, and those that wait for it. */
  load (): { running: number, waiting: number }
}

declare module 'fastify' {
  interface FastifyInstance {
    passwords: Passwords
  }
}

/**
 * argon2id behind a bounded queue. A hash holds a core and 19 MiB for some 30 ms: without a bound, a flood of
 * sign-ins would take the memory, and the thread pool from everything else that needs it.
 */
export default fp<{ config: Config }>(async function passwords (fastify, { config }) {
  const cost = { memory: config.ARGON2_MEMORY_KIB, time: config.ARGON2_TIME, parallelism: 1 }
  const argon2 = await loadArgon2()
  fastify.log.debug(`passwords are hashed by ${argon2.name}`)
  const most = config.ARGON2_CONCURRENCY + config.ARGON2_QUEUE
  const queue = fastq.promise(async (job: () => Promise<void>) => await job(), config.ARGON2_CONCURRENCY)

  const isFull = () => queue.running() + queue.length() >= most

  async function run<T> (job: () => Promise<T>): Promise<T> {
    if (isFull()) throw new ApiError('BUSY')
    return await new Promise<T>((resolve, reject) => {
      queue.push(async () => await job().then(resolve, reject)).catch(reject)
    })
  }

  const hash = async (password: string) => await run(async () => await argon2.hash(password, cost))
  const stranger = await argon2.hash('nobody has this password', cost)

  fastify.decorate('passwords', {
    hash,

    async verify (stored, password) {
      const runnable = stored !== undefined && isRunnable(stored)
      if (stored !== undefined && !runnable) fastify.log.error('a stored password hash is not argon2id or too costly to run')
      const matches = await run(async () => await argon2.verify(runnable ? stored : stranger, password))
      return runnable && matches
    },

    async strengthen (stored, password) {
      // The next sign-in will do as well: a busy moment is no reason to refuse this one.
      return isWeaker(stored, cost) && !isFull() ? await hash(password) : undefined
    },

    load: () => ({ running: queue.running(), waiting: queue.length() })
  })
}, { name: 'passwords', fastify: '5.x' })
