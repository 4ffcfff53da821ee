import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { parse } from 'uuid'
import type { Role } from '../access.ts'
import { crc32 } from './crc32.ts'

/** What the text of an API key contains. */
interface KeyParts {
  keyId: string
  secret: Buffer
}

/** An API key that a client presented. Whether it exists is still to be found out. */
export interface PresentedKey {
  keyId: string
  /** SHA-256 */
  secretHash: Buffer
}

/** A cached API key: its owner, and the roles that it was given and its owner has. */
export interface KeyEntry {
  userId: number
  username: string
  keyId: string
  roles: readonly Role[]
  /** whether the owner has one */
  hasSecondFactor: boolean
  /** null if it does not expire */
  expiresAt: Date | null
  /** SHA-256 */
  secretHash: Buffer
  /** when its use was last recorded, in milliseconds since the Unix epoch */
  usedAt: number
}

/** What every key begins with. Secret scanners search for it. */
const PREFIX = 'gh_'

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BASE = ALPHABET.length

/** By character code; NaN for what is neither a letter nor a digit. */
const DIGITS: readonly number[] = Array.from({ length: 128 }, (_, code) => {
  const digit = ALPHABET.indexOf(String.fromCharCode(code))
  return digit < 0 ? NaN : digit
})

// Offsets in bytes: key id 16 | secret 20 | CRC-32 4.
const SECRET = 16
const CHECKSUM = 36
const LENGTH = 40

/** Every four bytes are six letters of their own, since 62⁶ > 2³². The last six are the checksum. */
const BYTES = 4
const LETTERS = 6
const TEXT_LENGTH = PREFIX.length + LENGTH / BYTES * LETTERS

/** @returns 160 random bits */
export const newSecret = (): Buffer => randomBytes(CHECKSUM - SECRET)

export const hashSecret = (secret: Buffer): Buffer => createHash('sha256').update(secret).digest()

/** Whether a text is meant to be an API key, and not an access token. */
export const isKeyText = (text: string): boolean => text.startsWith(PREFIX)

/** Whether a presented key has the secret of a stored one. */
export const hasSecret = (presented: PresentedKey, stored: Pick<KeyEntry, 'secretHash'>): boolean =>
  timingSafeEqual(presented.secretHash, stored.secretHash)

/** The text of a key: `gh_`, and 60 letters and digits. */
export function encodeKey ({ keyId, secret }: KeyParts): string {
  const key = Buffer.alloc(LENGTH)
  key.set(parse(keyId))
  key.set(secret, SECRET)
  key.writeUInt32BE(crc32(key.subarray(0, CHECKSUM)), CHECKSUM)
  let text = PREFIX
  for (let offset = 0; offset < LENGTH; offset += BYTES) text += toLetters(key.readUInt32BE(offset))
  return text
}

/**
 * @returns undefined unless the text is the one spelling of a key. A single wrong letter changes at most 32 adjacent
 *   bits, which a CRC-32 always detects.
 */
export function decodeKey (text: string): KeyParts | undefined {
  if (text.length !== TEXT_LENGTH || !isKeyText(text)) return undefined
  const key = Buffer.allocUnsafe(LENGTH)
  for (let offset = 0, at = PREFIX.length; offset < LENGTH; offset += BYTES, at += LETTERS) {
    const word = toWord(text, at)
    // NaN is not in range either.
    if (!(word <= 0xffffffff)) return undefined
    key.writeUInt32BE(word, offset)
  }
  if (crc32(key.subarray(0, CHECKSUM)) !== key.readUInt32BE(CHECKSUM)) return undefined
  return { keyId: toUuid(key.toString('hex', 0, SECRET)), secret: key.subarray(SECRET, CHECKSUM) }
}

/** Not stringify() of uuid, which throws if the version is unknown: a client may present any 128 bits. */
const toUuid = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`

function toLetters (word: number): string {
  let letters = ''
  for (let rest = word, place = 0; place < LETTERS; place++, rest = Math.floor(rest / BASE)) {
    letters = ALPHABET.charAt(rest % BASE) + letters
  }
  return letters
}

function toWord (text: string, at: number): number {
  let word = 0
  for (let place = at; place < at + LETTERS; place++) {
    word = word * BASE + (DIGITS[text.charCodeAt(place)] ?? NaN)
  }
  return word
}
