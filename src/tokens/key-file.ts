import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { writeSecretFile } from './secret-file.ts'
import { errorCode } from '../unknown.ts'
import { type Algorithm, MIN_RSA_BITS, parseKeys, type SigningKey } from './signing-keys.ts'

/** An invalid JWT_KEYS_FILE. The message names the key and what is expected, never a key's content. */
class KeyFileError extends Error {
  constructor (file: string, faults: readonly string[]) {
    super([`Invalid keys in ${file}:`, ...faults.map(fault => `  - ${fault}`)].join('\n'))
  }
}

/**
 * Reads the keys of JWT_KEYS_FILE. The first one signs, all verify. Synchronous, so that no two reloads overlap.
 * @throws KeyFileError with every fault
 */
export function readKeys (file: string): [SigningKey, ...SigningKey[]] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new KeyFileError(file, [`the file cannot be read: ${errorCode(error)}`])
  }
  const exposure = findExposure(file)
  if (exposure !== undefined) throw new KeyFileError(file, [exposure])
  const { keys: [first, ...others], faults } = parseKeys(text)
  if (!first || faults.length > 0) throw new KeyFileError(file, faults)
  return [first, ...others]
}

/**
 * Whether other users may read or change the file. The rule is PostgreSQL's for ssl_key_file: the user of this process
 * needs no group to read a file of its own. If the file belongs to another user, such as root, a group may read it, as
 * in a Secret that Kubernetes mounts with fsGroup.
 * @returns a fault with what to do
 */
function findExposure (file: string): string | undefined {
  const { mode, uid } = statSync(file)
  const [denied, right] = uid === process.getuid?.() ? [0o077, 600] : [0o037, 640]
  // Windows has no such modes.
  return process.platform !== 'win32' && (mode & denied) !== 0
    ? `other users may read or change the file; run: chmod ${right} ${file}`
    : undefined
}

/**
 * Adds a new key to the file, and creates the file if necessary. The new key is the last one: it only verifies until
 * it is promoted, after every instance and every cache of the public keys has received it.
 */
export function addKey (file: string, alg: Algorithm): SigningKey[] {
  const keys = statSync(file, { throwIfNoEntry: false }) ? readKeys(file) : []
  return writeKeys(file, [...keys, ...createKey(alg)])
}

function createKey (alg: Algorithm): SigningKey[] {
  const { keys } = parseKeys(generateKey(alg).export({ type: 'pkcs8', format: 'pem' }).toString())
  // A thumbprint is base64url. One that begins with "-" would be read as an option by `gatehouse keys promote KID`.
  return keys[0]?.kid.startsWith('-') ? createKey(alg) : keys
}

/** Moves a key to the front, so that it signs. */
export function promoteKey (file: string, kid: string): SigningKey[] {
  const keys = readKeys(file)
  return writeKeys(file, [find(keys, kid), ...keys.filter(key => key.kid !== kid)])
}

/** Removes a key, which revokes its tokens. @throws Error for the key that signs */
export function removeKey (file: string, kid: string): SigningKey[] {
  const keys = readKeys(file)
  if (find(keys, kid) === keys[0]) throw new Error(`The key ${kid} signs. Promote another key first.`)
  return writeKeys(file, keys.filter(key => key.kid !== kid))
}

function find (keys: readonly SigningKey[], kid: string): SigningKey {
  const key = keys.find(key => key.kid === kid)
  if (!key) throw new Error(`There is no key ${kid}. The file has ${keys.map(key => key.kid).join(', ')}.`)
  return key
}

function generateKey (alg: Algorithm): KeyObject {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  return generateKeyPairSync('rsa', { modulusLength: MIN_RSA_BITS }).privateKey
}

/** Writes a JWK Set, whatever format the file had. */
function writeKeys (file: string, keys: SigningKey[]): SigningKey[] {
  const jwks = keys.map(({ privateKey, publicJwk }) => ({ ...publicJwk, ...privateKey.export({ format: 'jwk' }) }))
  writeSecretFile(file, `${JSON.stringify({ keys: jwks }, undefined, 2)}\n`)
  return keys
}
