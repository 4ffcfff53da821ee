import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'
import { parse, stringify } from 'uuid'
import { type Config, refreshSecrets } from '../config/read-settings.ts'

/** The claims of a refresh token: a session, and a step of its rotation. */
export interface RefreshClaims {
  userId: number
  sessionId: string
  /** 0 at sign-in, one more for every successor; unsigned 32-bit */
  generation: number
}

/** A valid token that a client presented. */
interface PresentedToken extends RefreshClaims {
  /** the key that signed it */
  key: KeyObject
}

/**
 * The values of REFRESH_ROTATION. `step`: 1 if presenting a token supersedes it, 0 if presenting its successor does.
 * `lead`: the generation of the issued token, relative to the row's.
 */
const ROTATIONS = {
  lenient: { step: 0, lead: 1 },
  strict: { step: 1, lead: 0 },
  off: { step: 0, lead: 0 }
} as const

// Offsets in bytes: version 1 | user id 8 | session id 16 | generation 4 | HMAC-SHA-256 32.
const VERSION = 1
const USER = 1
const SESSION = 9
const GENERATION = 25
const MAC = 29
const LENGTH = 61

/**
 * Encodes and decodes refresh tokens. A token is signed claims rather than a random string with a row of its own.
 * Garbage is therefore rejected without a query, a dump of the database contains no usable token, and a token's
 * successor is the same every time. Its strength is the 256-bit HMAC (RFC 6819 §5.1.4.2.2 asks for 128 bits).
 */
export class RefreshTokenCodec {
  readonly #key: KeyObject
  readonly #accepted: readonly KeyObject[]

  /** @param accepted further secrets whose tokens are valid */
  constructor (secret: string, ...accepted: string[]) {
    this.#key = deriveKey(secret)
    this.#accepted = accepted.map(deriveKey)
  }

  /**
   * @param key for a successor, the key of the presented token: the successor then stays the same while secrets are
   * rotated. Re-signing with the new secret would not retire the old one sooner, since clients keep their first token.
   */
  encode ({ userId, sessionId, generation }: RefreshClaims, key = this.#key): string {
    const token = Buffer.alloc(LENGTH)
    token.writeUInt8(VERSION)
    token.writeBigUInt64BE(BigInt(userId), USER)
    token.set(parse(sessionId), SESSION)
    token.writeUInt32BE(generation, GENERATION)
    mac(token, key).copy(token, MAC)
    return token.toString('base64url')
  }

  /** @returns undefined unless this service issued the token. Any text of any length is safe to decode. */
  decode (text: string): PresentedToken | undefined {
    const token = Buffer.from(text, 'base64url')
    // Decoding ignores foreign characters and unused bits. Only the canonical spelling is accepted.
    if (token.length !== LENGTH || token.toString('base64url') !== text) return undefined
    if (token.readUInt8() !== VERSION) return undefined
    const key = [this.#key, ...this.#accepted].find(each => timingSafeEqual(token.subarray(MAC), mac(token, each)))
    return key && {
      key,
      userId: Number(token.readBigUInt64BE(USER)),
      sessionId: stringify(token, SESSION),
      generation: token.readUInt32BE(GENERATION)
    }
  }
}

/** HKDF (RFC 5869) separates this key from the one that signs access tokens, even if both come from one secret. */
const deriveKey = (secret: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse refresh token v1', 32)))

const mac = (token: Buffer, key: KeyObject): Buffer =>
  createHmac('sha256', key).update(token.subarray(0, MAC)).digest()

/** The tokens of a service, and the rules by which it rotates them. `lead` is as in `ROTATIONS`. */
export function rotationOf (config: Config) {
  const { step, lead } = ROTATIONS[config.REFRESH_ROTATION]
  return {
    codec: new RefreshTokenCodec(...refreshSecrets(config)),
    lead,
    rules: { step, grace: config.REFRESH_GRACE, idle: config.REFRESH_IDLE_TTL }
  }
}
