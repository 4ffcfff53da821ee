import { pbkdf2 } from 'node:crypto'
import { promisify } from 'node:util'
import { MAX_PBKDF2_ITERATIONS } from './hash-cost.ts'
import { decodeSaltAndKey, isKey, SALT_AND_KEY, type StoredHash } from './stored-hash.ts'

const derive = promisify(pbkdf2)

// `$pbkdf2-sha256$i=600000,l=32$…$…` in PHC notation, `$pbkdf2-sha256$29000$…$…` by passlib. Without a digest: SHA-1.
const PBKDF2 = new RegExp(
  `^\\$pbkdf2(?:-sha(1|224|256|384|512))?\\$(?:i=)?([1-9]\\d{0,9})(?:,l=([1-9]\\d{0,2}))?${SALT_AND_KEY}`)

/** @returns undefined unless the text is a PBKDF2 hash */
export function readPbkdf2 (text: string): StoredHash | undefined {
  const [, digest = '1', iterations, length, salt = '', key = ''] = PBKDF2.exec(text) ?? []
  const decoded = decodeSaltAndKey(salt, key)
  if (!decoded || (length !== undefined && Number(length) !== decoded.key.length)) return undefined
  const blocks = Math.ceil(decoded.key.length * 8 / (digest === '1' ? 160 : Number(digest)))
  return {
    format: 'pbkdf2',
    isRunnable: Number(iterations) * blocks <= MAX_PBKDF2_ITERATIONS,
    verify: async password =>
      isKey(await derive(password, decoded.salt, Number(iterations), decoded.key.length, `sha${digest}`), decoded)
  }
}
