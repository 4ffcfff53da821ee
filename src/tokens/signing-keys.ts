import {
  createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, sign, verify
} from 'node:crypto'
import { isRecord, property } from '../unknown.ts'

/** The algorithms of JWT_KEYS_FILE. The first is the default: its signatures are short and fast to make. */
export const algorithms = ['EdDSA', 'ES256', 'RS256'] as const

export type Algorithm = typeof algorithms[number]

/** A private key that can sign access tokens. */
export interface SigningKey {
  kid: string
  alg: Algorithm
  /** length of a signature, in bytes */
  signature: number
  privateKey: KeyObject
  /** the public key (RFC 7517) */
  publicJwk: JsonWebKey
}

/** A key as it stands in the file. */
type Entry = { jwk: Record<string, unknown> } | { label: string, pem: string }

/** As strong as the other two algorithms (NIST SP 800-57 part 1, table 2). */
export const MIN_RSA_BITS = 3072

const EXPECTED = `use Ed25519 (EdDSA), P-256 (ES256) or RSA with at least ${MIN_RSA_BITS} bits (RS256)`

/**
 * Reads private keys from PEM blocks, a JWK or a JWK Set.
 * @returns the valid keys, and a fault for each of the others that reveals nothing of its content
 */
export function parseKeys (text: string): { keys: SigningKey[], faults: string[] } {
  const entries = readEntries(text.trim())
  if (typeof entries === 'string') return { keys: [], faults: [entries] }
  const keys: SigningKey[] = []
  const faults: string[] = []
  for (const [index, entry] of entries.entries()) {
    const key = toKey(entry)
    if (typeof key === 'string') faults.push(`key ${index + 1} ${key}`)
    else if (keys.some(({ kid }) => kid === key.kid)) faults.push(`key ${index + 1} has the same kid as an earlier key`)
    else keys.push(key)
  }
  return { keys, faults }
}

/** The keys of a text, or why there are none. */
function readEntries (text: string): Entry[] | string {
  const entries = /^[{[]/.test(text) ? readJwks(text) : readPem(text)
  return entries.length === 0 ? 'the file contains no key; add one with: gatehouse keys new' : entries
}

function readJwks (text: string): Entry[] | string {
  let read: unknown
  try {
    read = JSON.parse(text)
  } catch {
    // Not the parser's message, which quotes the text.
    return 'the file is not valid JSON'
  }
  const set: unknown = Array.isArray(read) ? read : property(read, 'keys') ?? [read]
  return Array.isArray(set) ? set.map((jwk: unknown) => ({ jwk: isRecord(jwk) ? jwk : {} })) : '"keys" must be a list'
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[^]*?-----END \1-----/g

function readPem (text: string): Entry[] | string {
  const blocks = Array.from(text.matchAll(PEM), ([pem, label = '']) => ({ pem, label }))
  if (text.split('-----BEGIN ').length - 1 !== blocks.length) return 'a PEM block has no end line'
  // `openssl ecparam -genkey` writes this block before the key, which repeats it.
  return blocks.filter(({ label }) => label !== 'EC PARAMETERS')
}

/** The key of an entry, or its fault. */
function toKey (entry: Entry): SigningKey | string {
  const { alg: namedAlg, kid: namedKid }: Record<string, unknown> = 'jwk' in entry ? entry.jwk : {}
  const privateKey = 'jwk' in entry ? importJwk(entry.jwk) : importPem(entry)
  if (typeof privateKey === 'string') return privateKey
  const kind = kindOf(privateKey)
  if (typeof kind === 'string') return kind
  if (namedAlg !== undefined && namedAlg !== kind.alg) {
    return `has an alg other than ${kind.alg}, which its type requires`
  }
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const kid = namedKid ?? thumbprint(publicJwk)
  if (typeof kid !== 'string' || kid.length === 0 || kid.length > 128) {
    return 'has a kid that is not a string of 1 to 128 characters'
  }
  if (!signs(privateKey)) return 'cannot sign: its private and its public part do not match'
  return { kid, ...kind, privateKey, publicJwk: { ...publicJwk, kid, alg: kind.alg, use: 'sig' } }
}

function importJwk (jwk: Record<string, unknown>): KeyObject | string {
  const { kty, d, use = 'sig', key_ops: operations = ['sign'] } = jwk
  if (kty === 'oct') return 'is a secret (oct); set it as JWT_SECRET or JWT_SECRET_ACCEPTED instead'
  if (typeof d !== 'string') return 'is a public key; the file must contain private keys'
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('sign')) {
    return 'is not for signing, according to its use or key_ops'
  }
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    return `is not a valid JWK: ${EXPECTED}`
  }
}

function importPem ({ label, pem }: { label: string, pem: string }): KeyObject | string {
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(pem)) {
    return 'is encrypted; decrypt it with openssl pkey'
  }
  if (!/^(EC |RSA )?PRIVATE KEY$/.test(label)) {
    return 'is not a PKCS #8, SEC 1 or PKCS #1 private key; convert it with openssl pkey'
  }
  try {
    return createPrivateKey(pem)
  } catch {
    return 'is not valid PEM'
  }
}

/** The algorithm of a key. Node would also sign with secp256k1, Ed448 and RSA-PSS keys, which no token here may use. */
function kindOf (key: KeyObject): Pick<SigningKey, 'alg' | 'signature'> | string {
  const { asymmetricKeyType, asymmetricKeyDetails } = key
  const { modulusLength = 0, namedCurve } = { ...asymmetricKeyDetails }
  if (asymmetricKeyType === 'ed25519') return { alg: 'EdDSA', signature: 64 }
  if (asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return { alg: 'ES256', signature: 64 }
  if (asymmetricKeyType === 'rsa' && modulusLength >= MIN_RSA_BITS) {
    return { alg: 'RS256', signature: Math.ceil(modulusLength / 8) }
  }
  const size = namedCurve ?? (modulusLength > 0 ? `${modulusLength} bits` : '')
  return `is ${[asymmetricKeyType, size].filter(Boolean).join(', ')}: ${EXPECTED}`
}

/** RFC 7638: a hash of the required members, sorted. Node exports a public key with exactly those. */
const thumbprint = (publicJwk: JsonWebKey): string =>
  createHash('sha256').update(JSON.stringify(publicJwk, Object.keys(publicJwk).sort())).digest('base64url')

// Node imports damaged RSA and EC keys without an error, so a key is tried before it is accepted.
function signs (key: KeyObject): boolean {
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  const text = Buffer.from('gatehouse')
  try {
    return verify(digest, text, createPublicKey(key), sign(digest, text, key))
  } catch {
    return false
  }
}
