import { scrypt, type ScryptOptions } from 'node:crypto'
import { promisify } from 'node:util'
import { MAX_SCRYPT_MEMORY, MAX_SCRYPT_WORK } from './hash-cost.ts'
import { decodeSaltAndKey, isKey, SALT_AND_KEY, type StoredHash } from './stored-hash.ts'

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt)

const SCRYPT = new RegExp(`^\\$scrypt\\$ln=([1-9]\\d?),r=([1-9]\\d{0,5}),p=([1-9]\\d{0,5})${SALT_AND_KEY}`)

/** @returns undefined unless the text is a scrypt hash, with the parameters that RFC 7914 §2 allows */
export function readScrypt (text: string): StoredHash | undefined {
  const [, ln, r, p, salt = '', key = ''] = SCRYPT.exec(text) ?? []
  const decoded = decodeSaltAndKey(salt, key)
  const [log2, blockSize, parallelization] = [Number(ln), Number(r), Number(p)]
  // N must be less than 2^(128 r / 8).
  if (!decoded || log2 >= 16 * blockSize) return undefined
  const cost = 2 ** log2
  const memory = cost * blockSize / 8
  return {
    format: 'scrypt',
    isRunnable: memory <= MAX_SCRYPT_MEMORY && memory * parallelization <= MAX_SCRYPT_WORK,
    verify: async password => isKey(await derive(password, decoded.salt, decoded.key.length, {
      cost,
      blockSize,
      parallelization,
      // Exactly what OpenSSL allocates, in bytes.
      maxmem: 128 * blockSize * (cost + parallelization + 3)
    }), decoded)
  }
}
