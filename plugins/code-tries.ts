import fp from 'fastify-plugin'
import { sha256 } from '../src/tokens/sha256.ts'

declare module 'fastify' {
  interface FastifyInstance {
    codeTries: {
      /** Counts a try of the codes of an address, before the code is compared. @returns whether it may be compared */
      count (email: string): Promise<boolean>
      /** A new code has tries of its own. */
      reset (email: string): Promise<void>
    }
  }
}

/** Seconds. */
const DAY = 24 * 60 * 60

/** Tries of the code of one mail. */
const MAX_TRIES = 5

/** Tries of the codes of one address within a day, over all mails: a year of them guesses 7 of 1000 users. */
const MAX_TRIES_PER_DAY = 20

/**
 * Limits tries of the codes in mails. They are counted by address rather than in the rows of codes, because an address
 * without a code must take as long.
 */
export default fp(async function codeTries (fastify) {
  const tries = fastify.createCounter({ name: 'code', duration: DAY })
  const triesPerDay = fastify.createCounter({ name: 'codes', duration: DAY })
  const keyOf = (email: string) => sha256(email.toLowerCase())

  fastify.decorate('codeTries', {
    async count (email) {
      const ofMail = await tries.add(keyOf(email))
      const ofDay = await triesPerDay.add(keyOf(email))
      return ofMail.total <= MAX_TRIES && ofDay.total <= MAX_TRIES_PER_DAY
    },
    reset: async email => { await tries.reset(keyOf(email)) }
  })
}, { name: 'code-tries', fastify: '5.x', dependencies: ['counters'] })
