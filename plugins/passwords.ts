import fp from 'fastify-plugin'
import pLimit from 'p-limit'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { loadArgon2 } from '../src/passwords/argon2.ts'
import { needsRehash } from '../src/passwords/hash-cost.ts'
import { readHash } from '../src/passwords/read-hash.ts'
import type { StoredHash } from '../src/passwords/stored-hash.ts'

/** Devices encode the same characters differently (NIST SP 800-63B-4 §3.1.1.2). */
const normalize = (password: string): string => password.normalize('NFKC')

/**
 * The spellings of a password that a hash may be of. Other services hash a password as the device encoded it, so that
 * this is the first spelling to try.
 */
const spellings = ({ format }: StoredHash, password: string): Set<string> =>
  new Set(format === 'argon2id' ? [normalize(password)] : [password, normalize(password)])

/** The `network` is the client's. It never holds more than its share of the queue. */
export interface Passwords {
  /** @returns an argon2id hash as a PHC string. @throws ApiError BUSY */
  hash (password: string, network: string): Promise<string>
  /**
   * Verifies a password, in one place of the queue. Without a hash, or with one that is unknown or too costly, it
   * verifies a dummy hash and returns false, so that an unknown user and one without a password take as long as a wrong
   * password.
   * @throws ApiError BUSY
   */
  verify (hash: string | undefined, password: string, network: string): Promise<boolean>
  /**
   * Hashes a password again, if the cost in the settings was raised since, or if its hash is not argon2id.
   * @param hash of the password, which was just verified
   * @returns undefined if the hash is up to date or the queue is full: the next sign-in retries
   */
  rehash (hash: string, password: string, network: string): Promise<string | undefined>
  /** Hashes in progress, and those in the queue. */
  load (): { inProgress: number, queued: number }
}

declare module 'fastify' {
  interface FastifyInstance {
    passwords: Passwords
  }
}

/**
 * argon2id, and the verification of imported hashes, behind a bounded queue. A hash occupies a core and 19 MiB for
 * about 30 ms: without the bound, a flood of sign-ins would exhaust the memory and the thread pool that everything else
 * shares. The queue is shared fairly, so that a flood from one network does not fill it.
 */
export default fp<{ config: Config }>(async function passwords (fastify, { config }) {
  const cost = { memory: config.ARGON2_MEMORY_KIB, time: config.ARGON2_TIME, parallelism: 1 }
  const argon2 = await loadArgon2()
  fastify.log.debug(`passwords are hashed by ${argon2.name}`)
  const limit = pLimit(config.ARGON2_CONCURRENCY)

  const places = config.ARGON2_CONCURRENCY + config.ARGON2_QUEUE
  /** The hashes of each network, in progress or queued. */
  const holders = new Map<string, { hashes: number }>()

  /** Whether a network holds its share. The places are divided equally among those that hold one, and one newcomer. */
  function isFull (network: string): boolean {
    if (limit.activeCount + limit.pendingCount >= places) return true
    const { hashes } = holders.get(network) ?? { hashes: 0 }
    const parts = holders.size + (hashes > 0 ? 1 : 2)
    return hashes >= Math.max(config.ARGON2_CONCURRENCY, Math.floor(places / parts))
  }

  async function run<T> (network: string, work: () => Promise<T>): Promise<T> {
    if (isFull(network)) throw new ApiError('BUSY')
    const holder = holders.get(network) ?? { hashes: 0 }
    holders.set(network, holder)
    holder.hashes++
    try {
      return await limit(work)
    } finally {
      holder.hashes--
      if (holder.hashes === 0) holders.delete(network)
    }
  }

  async function matches (stored: StoredHash, password: string): Promise<boolean> {
    for (const spelling of spellings(stored, password)) if (await stored.verify(spelling, argon2)) return true
    return false
  }

  const hash = async (password: string, network: string) =>
    await run(network, async () => await argon2.hash(normalize(password), cost))
  const dummyHash = argon2.hash('the password of no user', cost)
  // Hashed while the rest of the service loads.
  fastify.addHook('onReady', async () => { await dummyHash })

  fastify.decorate('passwords', {
    hash,

    async verify (stored, password, network) {
      const known = stored === undefined ? undefined : readHash(stored)
      const runnable = known?.isRunnable === true ? known : undefined
      if (stored !== undefined && !runnable) {
        fastify.log.error('a stored password hash has an unknown format or is too costly')
      }
      return await run(network, async () => {
        if (runnable) return await matches(runnable, password)
        await argon2.verify(await dummyHash, normalize(password))
        return false
      })
    },

    rehash: async (stored, password, network) =>
      needsRehash(stored, cost) && !isFull(network) ? await hash(password, network) : undefined,

    load: () => ({ inProgress: limit.activeCount, queued: limit.pendingCount })
  })
}, { name: 'passwords', fastify: '5.x' })
