import { isStrongSecret } from './secret-strength.ts'

/** Bytes of an AES-256 key. */
export const MIN_KEY_BYTES = 32

/** The rule, as it completes "must be". */
export const KEY_RULE = `at least ${MIN_KEY_BYTES} random bytes in base64 or hexadecimal`

const HEX = /^([0-9a-f]{2})+$/i

/** The bytes of a key in hexadecimal or base64. */
export const keyBytes = (text: string): Buffer => Buffer.from(text, HEX.test(text) ? 'hex' : 'base64')

/**
 * Whether a text may be an encryption key: the exact spelling of enough bytes with more than next to no entropy. Random
 * bytes are rejected with a probability below 10⁻¹².
 */
export function isStrongKey (text: string): boolean {
  const bytes = keyBytes(text)
  const base64 = bytes.toString('base64')
  const isExact = HEX.test(text) || text === base64 || text === base64.replace(/=+$/, '')
  return isExact && bytes.length >= MIN_KEY_BYTES && isStrongSecret(text) && isStrongSecret(bytes.toString('latin1')) &&
    !isText(bytes) && !isSequence(bytes)
}

/** Whether all bytes are printable ASCII: a passphrase, encoded. */
const isText = (bytes: Buffer): boolean => /^[\t\n\r -~]*$/.test(bytes.toString('latin1'))

/** Whether all bytes differ from the byte before by the same amount. */
const isSequence = (bytes: Buffer): boolean => {
  const steps = bytes.map((byte, index) => byte - (bytes[index - 1] ?? 0)).subarray(1)
  return new Set(steps).size <= 1
}
