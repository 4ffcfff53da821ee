import { MAX_BCRYPT_COST } from './hash-cost.ts'
import type { StoredHash } from './stored-hash.ts'

// The last characters of the salt and of the key encode only two and four bits. bcrypt compares the text, so that no
// password matches a hash whose other bits are set.
const SALT = '[./A-Za-z0-9]{21}[.Oeu]'
const KEY = '[./A-Za-z0-9]{30}[.CGKOSWaeimquy26]'

/**
 * The pattern of a prefix such as `$2b$10$` and a salt. `$2a$`, `$2b$` and `$2y$` are the same algorithm in every
 * current library. `$2x$` marks the faulty hashes of PHP before 5.3.7, which are not supported.
 */
export const SETTINGS = `\\$2[aby]\\$(?:0[4-9]|[12]\\d|3[01])\\$${SALT}`

const BCRYPT = new RegExp(`^${SETTINGS}${KEY}$`)

/** Whether the cost in a text that begins with SETTINGS is within the limit. */
export const isCheapBcrypt = (settings: string): boolean => Number(settings.slice(4, 6)) <= MAX_BCRYPT_COST

/**
 * Loads @node-rs/bcrypt. It is loaded for the first imported hash, and has no replacement: `bcrypt` 6 rejects every
 * password of a `$2y$` hash, and `bcryptjs` blocks the event loop.
 */
const load = async () => await import('@node-rs/bcrypt')

/**
 * Reads a bcrypt hash. As in the libraries that wrote it, only the first 72 bytes of a password count.
 * @returns undefined unless the text is a bcrypt hash
 */
export function readBcrypt (text: string): StoredHash | undefined {
  if (!BCRYPT.test(text)) return undefined
  return {
    format: 'bcrypt',
    isRunnable: isCheapBcrypt(text),
    verify: async password => await (await load()).verify(password, text)
  }
}

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Decodes bcrypt's variant of base64. */
const decode = (text: string): Buffer =>
  Buffer.from(Array.from(text, letter => BASE64[ALPHABET.indexOf(letter)]).join(''), 'base64')

/**
 * Hashes a password as an earlier hash was made.
 * @param settings the prefix and the salt of that hash
 */
export async function bcryptWith (settings: string, password: string): Promise<string> {
  const salt = settings.slice(7)
  const hash = await (await load()).hash(password, Number(settings.slice(4, 6)), decode(salt))
  // The library writes `$2b$`.
  return settings + hash.slice(settings.length)
}
