import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** What the token of a mail is for. */
export const purposes = ['verification', 'password-reset', 'email-change', 'undo'] as const

export type Purpose = typeof purposes[number]

/** What a mail carries: its link has the token, and a person can type the code instead. */
interface EmailSecret {
  /** 256 bits, base64url */
  token: string
  /** six digits */
  code: string
}

/** Digits of a code. Five tries guess it with a probability of five in a million. */
const DIGITS = 6

/** The secrets of mails, derived from the mail's random id, so that another attempt to send it repeats them. */
export class EmailSecrets {
  readonly #keys: readonly [Buffer, ...Buffer[]]

  /** @param secrets the first one derives new secrets, all of them verify codes */
  constructor ([first, ...accepted]: readonly [string, ...string[]]) {
    this.#keys = [deriveKey(first), ...accepted.map(deriveKey)]
  }

  /**
   * @param mailId a random UUID
   * @returns what the first secret derives, and then what the others do, which were first before
   */
  derive (mailId: string): [EmailSecret, ...EmailSecret[]] {
    const [first, ...accepted] = this.#keys
    return [secretOf(first, mailId), ...accepted.map(key => secretOf(key, mailId))]
  }

  /** What is stored of a code. A hash without a key could be searched by anybody who reads the table. */
  hashCode (userId: number, code: string): string {
    return codeHash(this.#keys[0], userId, code).toString('base64url')
  }

  /** @param stored what `hashCode` returned, perhaps with another of the secrets */
  isCode (stored: string, userId: number, code: string): boolean {
    const expected = Buffer.from(stored, 'base64url')
    return this.#keys.some(key => timingSafeEqual(codeHash(key, userId, code), expected))
  }
}

/** HKDF (RFC 5869) separates this key from those that sign tokens, even if they come from one secret. */
const deriveKey = (secret: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse e-mail v1', 32))

const mac = (key: Buffer, purpose: string, text: string): Buffer =>
  createHmac('sha256', key).update(`${purpose} ${text}`).digest()

function secretOf (key: Buffer, mailId: string): EmailSecret {
  const number = mac(key, 'code', mailId).readUIntBE(0, 6) % 10 ** DIGITS
  return { token: mac(key, 'token', mailId).toString('base64url'), code: String(number).padStart(DIGITS, '0') }
}

const codeHash = (key: Buffer, userId: number, code: string): Buffer => mac(key, 'stored', `${userId} ${code}`)
