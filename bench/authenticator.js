import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** The relying party of the benchmark. No browser checks that the origin is the one of a page. */
export const RP_ID = 'localhost'
export const ORIGIN = 'http://localhost'

const sha256 = data => createHash('sha256').update(data).digest()

const clientData = (type, challenge) =>
  Buffer.from(JSON.stringify({ type, challenge, origin: ORIGIN, crossOrigin: false }))

/** @param flags 5: the user is present and verified; 64: with the public key */
const authenticatorData = flags => Buffer.concat([sha256(RP_ID), Buffer.from([flags, 0, 0, 0, 0])])

/** A software authenticator with one synced passkey (ES256), which counts no signatures. */
export class Authenticator {
  #id = randomBytes(16)
  #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  #userHandle

  #response (response) {
    const id = this.#id.toString('base64url')
    const fields = Object.entries(response).map(([name, value]) => [name, value.toString('base64url')])
    return { id, rawId: id, type: 'public-key', response: Object.fromEntries(fields) }
  }

  /** The response to a registration. */
  create ({ challenge, user }) {
    this.#userHandle = Buffer.from(user.id, 'base64url')
    const { x, y } = this.#keys.publicKey.export({ format: 'jwk' })
    // CBOR, whose lengths are always the same: a COSE key, and the attestation "none".
    const key = Buffer.concat([
      Buffer.from('a5010203262001215820', 'hex'), Buffer.from(x, 'base64url'),
      Buffer.from('225820', 'hex'), Buffer.from(y, 'base64url')
    ])
    const aaguid = Buffer.alloc(16)
    const data = Buffer.concat([authenticatorData(64 + 5), aaguid, Buffer.from([0, this.#id.length]), this.#id, key])
    return this.#response({
      clientDataJSON: clientData('webauthn.create', challenge),
      attestationObject: Buffer.concat([
        Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'), Buffer.from([data.length]), data
      ])
    })
  }

  /** The response to a sign-in. */
  get (challenge) {
    const clientDataJSON = clientData('webauthn.get', challenge)
    const data = authenticatorData(5)
    return this.#response({
      clientDataJSON,
      authenticatorData: data,
      signature: sign('sha256', Buffer.concat([data, sha256(clientDataJSON)]), this.#keys.privateKey),
      userHandle: this.#userHandle
    })
  }
}
