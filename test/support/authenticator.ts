import { createHash, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

// A software authenticator (WebAuthn §6): it makes the responses that a browser returns as JSON, and wrong ones.

/** Where and how a response is made. */
interface Circumstances {
  origin: string
  rpId: string
  isUserPresent: boolean
  isUserVerified: boolean
  counter: number
  type: string
  userHandle: string | null
  /** bytes by which the public key is longer than it has to be */
  keyPadding: number
}

export const ORIGIN = 'https://auth.example.com'

/** The settings with which the service accepts its responses. */
export const PASSKEY_SETTINGS = { PASSKEY_RP_ID: 'auth.example.com', PASSKEY_ORIGINS: [ORIGIN] }

const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest()

/** The head of a CBOR item (RFC 8949 §3) of at most 65535 bytes or entries. */
function head (major: number, length: number): Buffer {
  const type = major << 5
  if (length < 24) return Buffer.from([type | length])
  return length < 256 ? Buffer.from([type | 24, length]) : Buffer.from([type | 25, length >> 8, length & 255])
}

const bytes = (data: Buffer): Buffer => Buffer.concat([head(2, data.length), data])
const text = (data: string): Buffer => Buffer.concat([head(3, data.length), Buffer.from(data)])
const int = (value: number): Buffer => value < 0 ? head(1, -1 - value) : head(0, value)
const map = (...entries: Array<readonly [Buffer, Buffer]>): Buffer =>
  Buffer.concat([head(5, entries.length), ...entries.flat()])

/** A P-256 key as COSE (RFC 9053 §7.1). @param padding bytes of a parameter that nobody knows */
function toCose (key: KeyObject, padding: number): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  const coordinate = (part: string) => bytes(Buffer.from(part, 'base64url'))
  return map(
    [int(1), int(2)], [int(3), int(-7)], [int(-1), int(1)], [int(-2), coordinate(x)], [int(-3), coordinate(y)],
    ...padding > 0 ? [[int(-100), bytes(Buffer.alloc(padding))] as const] : [])
}

export class Authenticator {
  readonly id = randomBytes(16).toString('base64url')
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  readonly #aaguid: Buffer
  /** as the service has chosen it at the registration */
  userHandle = ''

  /** @param aaguid the model; synced passkeys count no signatures */
  constructor (aaguid = '00000000-0000-0000-0000-000000000000') {
    this.#aaguid = Buffer.from(aaguid.replaceAll('-', ''), 'hex')
  }

  #circumstances (changes: Partial<Circumstances>): Circumstances {
    return {
      origin: ORIGIN,
      rpId: PASSKEY_SETTINGS.PASSKEY_RP_ID,
      isUserPresent: true,
      isUserVerified: true,
      counter: 0,
      type: '',
      userHandle: this.userHandle,
      keyPadding: 0,
      ...changes
    }
  }

  #authenticatorData ({ rpId, isUserPresent, isUserVerified, counter }: Circumstances, attested?: Buffer): Buffer {
    const flags = (isUserPresent ? 1 : 0) | (isUserVerified ? 4 : 0) | (attested ? 64 : 0)
    const count = Buffer.alloc(4)
    count.writeUInt32BE(counter)
    return Buffer.concat([sha256(rpId), Buffer.from([flags]), count, attested ?? Buffer.alloc(0)])
  }

  /** What `navigator.credentials.create()` returns. */
  create (options: { challenge: string, user: { id: string } }, changes: Partial<Circumstances> = {}) {
    this.userHandle = options.user.id
    const circumstances = this.#circumstances({ type: 'webauthn.create', ...changes })
    const id = Buffer.from(this.id, 'base64url')
    const key = toCose(this.#keys.publicKey, circumstances.keyPadding)
    const attested = Buffer.concat([this.#aaguid, Buffer.from([0, id.length]), id, key])
    const attestation = map(
      [text('fmt'), text('none')], [text('attStmt'), map()],
      [text('authData'), bytes(this.#authenticatorData(circumstances, attested))])
    return {
      id: this.id,
      rawId: this.id,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults: { credProps: { rk: true } },
      response: {
        clientDataJSON: clientData(options.challenge, circumstances).toString('base64url'),
        attestationObject: attestation.toString('base64url'),
        transports: ['internal']
      }
    }
  }

  /** What `navigator.credentials.get()` returns. */
  get (challenge: string, changes: Partial<Circumstances> = {}) {
    const circumstances = this.#circumstances({ type: 'webauthn.get', ...changes })
    const data = clientData(challenge, circumstances)
    const authenticatorData = this.#authenticatorData(circumstances)
    const signature = createSign('sha256').update(authenticatorData).update(sha256(data)).sign(this.#keys.privateKey)
    return {
      id: this.id,
      rawId: this.id,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults: {},
      response: {
        clientDataJSON: data.toString('base64url'),
        authenticatorData: authenticatorData.toString('base64url'),
        signature: signature.toString('base64url'),
        userHandle: circumstances.userHandle
      }
    }
  }
}

const clientData = (challenge: string, { type, origin }: Circumstances): Buffer =>
  Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }))
