import { createHmac, createSecretKey, hkdfSync, timingSafeEqual, type KeyObject } from 'node:crypto'
import { parse, stringify } from 'uuid'

/** What a refresh token names: the session's row, and which step of its rotation this token is. */
export interface RefreshClaims {
  userId: number
  sessionId: string
  /** 0 at sign-in, one more for every successor; 32 bits unsigned. */
  generation: number
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

  /** @param secret the service's secret; HKDF (RFC 5869) separates this key from the one that signs access tokens */
  constructor (secret: string) {
    this.#key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse refresh token v1', 32)))
  }

  encode ({ userId, sessionId, generation }: RefreshClaims): string {
    const token = Buffer.alloc(LENGTH)
    token.writeUInt8(VERSION)
    token.writeBigUInt64BE(BigInt(userId), USER)
    token.set(parse(sessionId), SESSION)
    token.writeUInt32BE(generation, GENERATION)
    this.#mac(token).copy(token, MAC)
    return token.toString('base64url')
  }

  /** The claims of a token this service has issued, else undefined: any other text, of any length, is safe to show. */
  decode (text: string): RefreshClaims | undefined {
    const token = Buffer.from(text, 'base64url')
    // Decoding skips what is no base64url and ignores unused bits: only the one canonical spelling is the token.
    if (token.length !== LENGTH || token.toString('base64url') !== text) return undefined
    if (token.readUInt8() !== VERSION || !timingSafeEqual(token.subarray(MAC), this.#mac(token))) return undefined
    return {
      userId: Number(token.readBigUInt64BE(USER)),
      sessionId: stringify(token, SESSION),
      generation: token.readUInt32BE(GENERATION)
    }
  }

  #mac (token: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(token.subarray(0, MAC)).digest()
  }
}
