import { Secret, TOTP } from 'otpauth'

/** Bytes of a secret: as many as HMAC-SHA-1 returns (RFC 4226 §4). */
const SIZE = 20

/** Seconds of a time step, and how many steps the clock of a device may be early or late (RFC 6238 §5.2). */
const PERIOD = 30
const DRIFT = 1

// What every authenticator app supports. Some ignore other digits, periods and algorithms without a word.
const totpOf = (secret: Secret, names: { issuer?: string, label?: string } = {}): TOTP =>
  new TOTP({ ...names, secret, algorithm: 'SHA1', digits: 6, period: PERIOD })

const toSecret = (secret: Buffer): Secret => new Secret({ buffer: new Uint8Array(secret).buffer })

/** @returns 160 random bits */
export const newTotpSecret = (): Buffer => Buffer.from(new Secret({ size: SIZE }).bytes)

/** A secret as a person types it into an authenticator app: base32. */
export const toText = (secret: Buffer): string => toSecret(secret).base32

/** What the QR code of an enrolment contains. @param issuer PRODUCT_NAME */
export const totpUri = (secret: Buffer, issuer: string, label: string): string =>
  totpOf(toSecret(secret), { issuer, label }).toString()

/**
 * The time step whose code this is, at most one step from the current one.
 * @returns undefined if the code is wrong
 */
export function totpStep (secret: Buffer, code: string): number | undefined {
  const timestamp = Date.now()
  const delta = totpOf(toSecret(secret)).validate({ token: code.replaceAll(' ', ''), timestamp, window: DRIFT })
  return delta === null ? undefined : TOTP.counter({ period: PERIOD, timestamp }) + delta
}
