import { timingSafeEqual } from 'node:crypto'
import type { Argon2 } from './argon2.ts'

/** A stored hash, in one of the formats that are verified. */
export interface StoredHash {
  format: 'argon2id' | 'argon2id-bcrypt' | 'bcrypt' | 'pbkdf2' | 'scrypt'
  /** whether its cost is within the limits; otherwise it must not be verified */
  isRunnable: boolean
  /** Verifies the exact characters of a password, off the event loop. */
  verify (password: string, argon2: Argon2): Promise<boolean>
}

// The end of a PHC string: salt and key in base64. passlib writes a dot for the plus sign, and others write padding.
const BASE64 = '([A-Za-z0-9+/.]{2,171}=?=?)'

export const SALT_AND_KEY = `\\$${BASE64}\\$${BASE64}$`

/** The bounds of a key, in bytes. A shorter one would match by chance, and a longer one adds to the work. */
const MIN_KEY = 16
const MAX_KEY = 128

interface SaltAndKey {
  salt: Buffer
  key: Buffer
}

const decode = (text: string): Buffer => Buffer.from(text.replaceAll('.', '+'), 'base64')

/** @returns undefined if the key has no acceptable length */
export function decodeSaltAndKey (salt: string, key: string): SaltAndKey | undefined {
  const decoded = { salt: decode(salt), key: decode(key) }
  return decoded.key.length >= MIN_KEY && decoded.key.length <= MAX_KEY ? decoded : undefined
}

/** Compares a derived key with the stored one, in constant time. */
export const isKey = (derived: Buffer, { key }: SaltAndKey): boolean => timingSafeEqual(derived, key)
