import argon2 from 'argon2'
import type { HashCost } from './hash-cost.ts'

/** argon2id by one of two packages, which read and write the same PHC strings. */
export interface Argon2 {
  /** name of the package */
  name: string
  hash (password: string, cost: HashCost): Promise<string>
  verify (hash: string, password: string): Promise<boolean>
}

/** `Algorithm.Argon2id` of @node-rs/argon2, a `const enum` that does not exist at run time. */
const ARGON2ID = 2

/**
 * Loads @node-rs/argon2, an optional dependency, or else argon2. The former hashes 2.0 to 2.7 times as fast
 * (`npm run bench -- --only "sign-in 16"`), but has no binary for some platforms.
 * @param loadFast imports @node-rs/argon2
 */
export async function loadArgon2 (loadFast = async () => await import('@node-rs/argon2')): Promise<Argon2> {
  try {
    const fast = await loadFast()
    return {
      name: '@node-rs/argon2',
      hash: async (password, cost) => await fast.hash(password, {
        algorithm: ARGON2ID, memoryCost: cost.memory, timeCost: cost.time, parallelism: cost.parallelism
      }),
      verify: async (hash, password) => await fast.verify(hash, password)
    }
  } catch {
    return {
      name: 'argon2',
      hash: async (password, cost) => await argon2.hash(password, {
        type: argon2.argon2id, memoryCost: cost.memory, timeCost: cost.time, parallelism: cost.parallelism
      }),
      verify: async (hash, password) => await argon2.verify(hash, password)
    }
  }
}
