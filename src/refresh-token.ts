import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'
import { parse, stringify } from 'uuid'

/** What a refresh token names: the session's row, and which step of its rotation this token is. */
export interface RefreshClaims {
  userId: number
  sessionId: string
  /** 0 at sign-in, one more for every successor; 32 bits unsigned. */
  generation: number
}

/** A token that was shown. */
export interface ShownToken extends RefreshClaims {
  /** The key that signed it. */
  key: KeyObject
}

// version 1 | user id 8 | session id 16 | generation 4 | HMAC-SHA-256 32, in bytes.
const VERSION = 1
const USER = 1
const SESSION = 9
const GENERATION = 25
const MAC = 29
const LENGTH = 61

/**
 * The codec of refresh tokens. A token is a statement signed by the service, not a random string kept in a table:
 * garbage is refused without a query, a dump of the database holds nothing that could be shown as a token, and the
 * successor of a token is the same each time it is asked for. The 256-bit HMAC is its strength (RFC 6819 §5.1.4.2.2
 * asks for 128).
 */
export class RefreshTokenCodec {
  readonly #key: KeyObject
  readonly #accepted: readonly KeyObject[]

  /** @param accepted further secrets whose tokens are good */
  constructor (secret: string, ...accepted: string[]) {
    this.#key = deriveKey(secret)
    this.#accepted = accepted.map(deriveKey)
  }

  /**
   * @param key for a successor, the key of the token shown: so the same token gives the same successor while secrets
   * change. Moving a session to the new secret would not let the old one go sooner: clients keep their first token.
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

  /** The claims of a token this service has issued, else undefined: any other text, of any length, is safe to show. */
  decode (text: string): ShownToken | undefined {
    const token = Buffer.from(text, 'base64url')
    // Decoding skips what is no base64url and ignores unused bits: only the one canonical spelling is the token.
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

/** HKDF (RFC 5869) separates the key from the one that signs access tokens, where the secret is the same. */
const deriveKey = (secret: string): KeyObject =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse refresh token v1', 32)))

const mac = (token: Buffer, key: KeyObject): Buffer =>
  createHmac('sha256', key).update(token.subarray(0, MAC)).digest()
