import { performance } from 'node:perf_hooks'
import reference from 'argon2'
import * as fast from '@node-rs/argon2'

// The upper bound of a sign-in: verifications at gatehouse's default cost and nothing else, two at a time.
const hash = await reference.hash('correct horse', {
  type: reference.argon2id, memoryCost: 19456, timeCost: 2, parallelism: 1
})

const IMPLEMENTATIONS = { argon2: reference, '@node-rs/argon2': fast }

/** A contestant that is a loop in this process instead of a server. */
export const argon2Loop = name => ({
  name,
  async run (seconds) {
    const until = performance.now() + seconds * 1000
    let verified = 0
    await Promise.all([1, 2].map(async () => {
      while (performance.now() < until) {
        await IMPLEMENTATIONS[name].verify(hash, 'correct horse')
        verified++
      }
    }))
    return { rate: verified / seconds, failed: 0 }
  },
  memory: () => 0,
  stop: async () => {}
})
