import type { Argon2 } from './argon2.ts'

/** A stored hash, in one of the formats that are verified. */
export interface StoredHash {
  format: 'argon2id' | 'argon2id-bcrypt' | 'bcrypt' | 'pbkdf2' | 'scrypt'
  /** whether its cost is within the limits; otherwise it must not be verified */
  isRunnable: boolean
  /** Verifies the exact characters of a password, off the event loop. */
  verify (password: string, argon2: Argon2): Promise<boolean>
}
