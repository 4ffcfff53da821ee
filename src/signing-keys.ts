import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify } from 'node:crypto'

/** The algorithms of JWT_KEYS; the first is the one to take: short signatures, and quick to make. */
export const algorithms = ['EdDSA', 'ES256', 'RS256'] as const

export type Algorithm = typeof algorithms[number]

/** A private key that is fit to sign access tokens. */
export interface SigningKey {
  kid: string
  alg: Algorithm
  /** length of a signature, in bytes */
  signature: number
  privateKey: KeyObject
  /** the public half alone, as RFC 7517 writes it */
  publicJwk: JsonWebKey
}

/** A key as the file has it. */
type Entry = { jwk: Record<string, unknown> } | { label: string, pem: string }

/** The kinds of key, with what a wrong one is told. */
const WANTED = 'take Ed25519 (EdDSA), P-256 (ES256) or RSA of 2048 bit or more (RS256)'

/**
 * Reads private keys from PEM blocks, a JWK or a JWK Set.
 * @returns every good key, and what is wrong with the others, without a word of what they hold
 */
export function parseKeys (text: string): { keys: SigningKey[], faults: string[] } {
  const entries = readEntries(text.trim())
  if (typeof entries === 'string') return { keys: [], faults: [entries] }
  const keys: SigningKey[] = []
  const faults: string[] = []
  for (const [index, entry] of entries.entries()) {
    const key = toKey(entry)
    if (typeof key === 'string') faults.push(`key ${index + 1} ${key}`)
    else if (keys.some(({ kid }) => kid === key.kid)) faults.push(`key ${index + 1} has the kid of an earlier one`)
    else keys.push(key)
  }
  return { keys, faults }
}

/** The keys one by one, or why there are none. */
function readEntries (text: string): Entry[] | string {
  const entries = /^[{[]/.test(text) ? readJwks(text) : readPem(text)
  return entries.length === 0 ? 'there is no key in it: npm run keys:new makes one' : entries
}

function readJwks (text: string): Entry[] | string {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    // Without the parser's message, which quotes the text.
    return 'it begins like JSON and is none'
  }
  const set: unknown = Array.isArray(read) ? read : Object(read).keys ?? [read]
  return Array.isArray(set) ? set.map(jwk => ({ jwk: Object(jwk) })) : 'its "keys" must be a list'
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/g

function readPem (text: string): Entry[] | string {
  const blocks = Array.from(text.matchAll(PEM), ([pem, label = '']) => ({ pem, label }))
  if (text.split('-----BEGIN ').length - 1 !== blocks.length) return 'a PEM block in it does not end'
  // What `openssl ecparam -genkey` writes before the key; the key repeats it.
  return blocks.filter(({ label }) => label !== 'EC PARAMETERS')
}

/** The key of an entry, or what is wrong with it. */
function toKey (entry: Entry): SigningKey | string {
  const { alg: namedAlg, kid: namedKid }: Record<string, unknown> = 'jwk' in entry ? entry.jwk : {}
  const privateKey = 'jwk' in entry ? importJwk(entry.jwk) : importPem(entry)
  if (typeof privateKey === 'string') return privateKey
  const kind = kindOf(privateKey)
  if (typeof kind === 'string') return kind
  if (namedAlg !== undefined && namedAlg !== kind.alg) return `says another alg than ${kind.alg}, which it is for`
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const kid = namedKid ?? thumbprint(publicJwk)
  if (typeof kid !== 'string' || kid.length === 0 || kid.length > 128) return 'has a kid that is no text of 1 to 128 characters'
  if (!signs(privateKey)) return 'does not sign: its private and its public half do not belong together'
  return { kid, ...kind, privateKey, publicJwk: { ...publicJwk, kid, alg: kind.alg, use: 'sig' } }
}

function importJwk (jwk: Record<string, unknown>): KeyObject | string {
  const { kty, d, use = 'sig', key_ops: operations = ['sign'] } = jwk
  if (kty === 'oct') return 'is a secret (oct): those belong in JWT_SECRET and JWT_SECRET_ACCEPTED'
  if (typeof d !== 'string') return 'has no private half: the service signs with these keys, and publishes the public halves itself'
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('sign')) return 'is not meant to sign, by its use or key_ops'
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    return `cannot be read as a JWK: ${WANTED}`
  }
}

function importPem ({ label, pem }: { label: string, pem: string }): KeyObject | string {
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(pem)) return 'is encrypted: decrypt it with openssl pkey'
  if (!/^(EC |RSA )?PRIVATE KEY$/.test(label)) return 'is no private key of PKCS #8, SEC 1 or PKCS #1: convert it with openssl pkey'
  try {
    return createPrivateKey(pem)
  } catch {
    return 'cannot be read as PEM'
  }
}

/** What a key is good for. secp256k1, Ed448 and RSA-PSS keys would pass for one of ours elsewhere: only these do. */
function kindOf ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Pick<SigningKey, 'alg' | 'signature'> | string {
  const { modulusLength = 0, namedCurve } = { ...asymmetricKeyDetails }
  if (asymmetricKeyType === 'ed25519') return { alg: 'EdDSA', signature: 64 }
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return { alg: 'ES256', signature: 64 }
  if (asymmetricKeyType === 'rsa' && modulusLength >= 2048) return { alg: 'RS256', signature: Math.ceil(modulusLength / 8) }
  const size = namedCurve ?? (modulusLength > 0 ? `${modulusLength} bit` : '')
  return `is ${[asymmetricKeyType, size].filter(Boolean).join(', ')}: ${WANTED}`
}

/** RFC 7638: the members a key cannot do without, sorted. Node exports a public key with those and no others. */
const thumbprint = (publicJwk: JsonWebKey): string =>
  createHash('sha256').update(JSON.stringify(publicJwk, Object.keys(publicJwk).sort())).digest('base64url')

// A damaged RSA or EC key imports without complaint, and would be found out by the first person to sign in.
function signs (key: KeyObject): boolean {
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  const text = Buffer.from('gatehouse')
  try {
    return verify(digest, text, createPublicKey(key), sign(digest, text, key))
  } catch {
    return false
  }
}
