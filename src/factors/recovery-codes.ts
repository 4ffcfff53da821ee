import { randomBytes } from 'node:crypto'
import { sha256 } from '../tokens/sha256.ts'

const COUNT = 10
const BYTES = 16
const GROUP = 5

/** RFC 4648 base32, in lower case: it has neither 0 and o, nor 1 and l. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** A code as `isRecoveryCode` accepts it: 128 bits are 26 characters of five bits. */
const FORM = new RegExp(`^[${ALPHABET}]{26}$`)

/** @returns ten codes of 128 random bits, in groups of five characters */
export const newRecoveryCodes = (): string[] => Array.from({ length: COUNT }, () =>
  toBase32(randomBytes(BYTES)).replace(new RegExp(`.{${GROUP}}(?=.)`, 'g'), '$&-'))

/** What is stored of a code, whatever its case and its separators are. */
export const hashRecoveryCode = (code: string): string => sha256(normalize(code))

/** Whether a code has the form of a recovery code, rather than that of an authenticator app. */
export const isRecoveryCode = (code: string): boolean => FORM.test(normalize(code))

const normalize = (code: string): string => code.toLowerCase().replaceAll(/[\s-]/g, '')

function toBase32 (bytes: Buffer): string {
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  return bits.replace(/.{1,5}/g, group => ALPHABET.charAt(parseInt(group.padEnd(5, '0'), 2)))
}
