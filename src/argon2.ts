import argon2 from 'argon2'
import type { HashCost } from './passwords.ts'

/** argon2id by one of its implementations; both write and read the same PHC strings. */
export interface Argon2 {
  /** the package it comes from */
  name: string
  hash (password: string, cost: HashCost): Promise<string>
  verify (hash: string, password: string): Promise<boolean>
}

/** `Algorithm.Argon2id` of @node-rs/argon2, whose enum is declared `const` and so not there at run time. */
const ARGON2ID = 2

/**
 * The faster implementation, where its binary loads, else the reference's. Measured on two cores at 19 MiB and two
 * passes: `npm run bench -- --only argon2`.
 * @param loadFast imports @node-rs/argon2, an optional dependency
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
