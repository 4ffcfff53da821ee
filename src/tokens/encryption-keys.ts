import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { keyBytes, MIN_KEY_BYTES } from '../config/key-strength.ts'

const ALGORITHM = 'aes-256-gcm'

// Offsets in bytes: version 1 | key id 8 | nonce 12 | tag 16 | ciphertext, as long as the plain text.
const VERSION = 1
const KEY_ID = 1
const NONCE = 9
const TAG = 21
const CIPHERTEXT = 37

interface EncryptionKey {
  /** says which key encrypted, and nothing about the key */
  id: Buffer
  key: Buffer
}

/** A decrypted secret. */
interface Decrypted {
  plain: Buffer
  /** whether a key other than the first encrypted it, so that it is to be encrypted again */
  isOutdated: boolean
}

/**
 * Encrypts secrets that the service must be able to read again, with AES-256-GCM. The id of the user who owns a secret
 * is authenticated with it, so a ciphertext that is copied into the row of another user cannot be decrypted.
 */
export class EncryptionKeys {
  readonly #keys: readonly [EncryptionKey, ...EncryptionKey[]]

  /**
   * @param first the key of ENCRYPTION_KEYS that encrypts
   * @param others further keys that decrypt
   */
  constructor (first: string, ...others: string[]) {
    this.#keys = [toKey(first), ...others.map(toKey)]
  }

  encrypt (plain: Buffer, userId: number): Buffer {
    const [{ id, key }] = this.#keys
    const head = Buffer.from([VERSION, ...id])
    // Random: a counter would have to be shared by all replicas. 2^32 secrets per key are safe (NIST SP 800-38D §8.3).
    const nonce = randomBytes(TAG - NONCE)
    const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(authenticated(head, userId))
    const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
    return Buffer.concat([head, nonce, cipher.getAuthTag(), ciphertext])
  }

  /** @returns undefined if no key fits, or the bytes were changed or belong to another user */
  decrypt (sealed: Buffer, userId: number): Decrypted | undefined {
    if (sealed.length < CIPHERTEXT || sealed[0] !== VERSION) return undefined
    const id = sealed.subarray(KEY_ID, NONCE)
    const found = this.#keys.find(key => key.id.equals(id))
    if (!found) return undefined
    const decipher = createDecipheriv(ALGORITHM, found.key, sealed.subarray(NONCE, TAG))
      .setAAD(authenticated(sealed.subarray(0, NONCE), userId))
      .setAuthTag(sealed.subarray(TAG, CIPHERTEXT))
    const text = decipher.update(sealed.subarray(CIPHERTEXT))
    try {
      return { plain: Buffer.concat([text, decipher.final()]), isOutdated: found !== this.#keys[0] }
    } catch {
      return undefined
    }
  }
}

/** The additional authenticated data: the version, the id of the key, and the id of the user. */
function authenticated (head: Buffer, userId: number): Buffer {
  const user = Buffer.alloc(8)
  user.writeBigUInt64BE(BigInt(userId))
  return Buffer.concat([head, user])
}

/** HKDF (RFC 5869) makes a key of 32 bytes, however long the one in the settings is. */
function toKey (text: string): EncryptionKey {
  const key = Buffer.from(hkdfSync('sha256', keyBytes(text), '', 'gatehouse encryption key v1', 32))
  const digest = createHash('sha256').update('gatehouse encryption key id v1').update(key).digest()
  return { key, id: digest.subarray(0, NONCE - KEY_ID) }
}

/** A new key for ENCRYPTION_KEYS. */
export const newEncryptionKey = (): string => randomBytes(MIN_KEY_BYTES).toString('base64')
