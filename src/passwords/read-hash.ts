import { readBcrypt } from './bcrypt.ts'
import { costOf, isRunnable } from './hash-cost.ts'
import { readPbkdf2 } from './pbkdf2.ts'
import { readScrypt } from './scrypt.ts'
import type { StoredHash } from './stored-hash.ts'
import { readWrappedBcrypt } from './wrapped-bcrypt.ts'

/** @returns undefined unless the text is an argon2id hash */
function readArgon2id (text: string): StoredHash | undefined {
  if (costOf(text) === undefined) return undefined
  return {
    format: 'argon2id',
    isRunnable: isRunnable(text),
    verify: async (password, argon2) => await argon2.verify(text, password)
  }
}

/**
 * Reads a stored hash. All formats but argon2id come from other services. They are verified until the user's next
 * sign-in, which replaces them.
 * @returns undefined if the format is unknown
 */
export const readHash = (text: string): StoredHash | undefined =>
  readArgon2id(text) ?? readBcrypt(text) ?? readWrappedBcrypt(text) ?? readPbkdf2(text) ?? readScrypt(text)
