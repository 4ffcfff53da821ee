import type { Argon2 } from './argon2.ts'
import { bcryptWith, isCheapBcrypt, SETTINGS } from './bcrypt.ts'
import { costOf, type HashCost, isRunnable } from './hash-cost.ts'
import type { StoredHash } from './stored-hash.ts'

// The notation: $argon2id-bcrypt$2b$10$<salt of bcrypt>$v=19$m=…,t=…,p=…$<salt>$<argon2id of the bcrypt hash>
const WRAPPED = new RegExp(`^\\$argon2id-bcrypt(${SETTINGS})(\\$v=19\\$.+)$`)

/** The length of `$2b$10$` and the salt. */
const SETTINGS_LENGTH = 29

/** Hashes a bcrypt hash with argon2id: a guess at the password then costs both. */
export async function wrapBcrypt (hash: string, argon2: Argon2, cost: HashCost): Promise<string> {
  const outer = await argon2.hash(hash, cost)
  return `$argon2id-bcrypt${hash.slice(0, SETTINGS_LENGTH)}${outer.slice('$argon2id'.length)}`
}

/** @returns undefined unless the text is a hash that `wrapBcrypt` made */
export function readWrappedBcrypt (text: string): StoredHash | undefined {
  const [, settings = '', parameters = ''] = WRAPPED.exec(text) ?? []
  const outer = `$argon2id${parameters}`
  if (costOf(outer) === undefined) return undefined
  return {
    format: 'argon2id-bcrypt',
    isRunnable: isCheapBcrypt(settings) && isRunnable(outer),
    verify: async (password, argon2) => await argon2.verify(outer, await bcryptWith(settings, password))
  }
}
