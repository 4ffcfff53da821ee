import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync, chownSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type Algorithm, parseKeys, type SigningKey } from './signing-keys.ts'

/** Why a file is not taken as JWT_KEYS: which of its keys, and how to mend it, never what they hold. */
export class KeyFileError extends Error {
  constructor (file: string, faults: readonly string[]) {
    super([`The keys in ${file} are not right:`, ...faults.map(fault => `  - ${fault}`)].join('\n'))
  }
}

/**
 * The keys of JWT_KEYS: the first signs, all verify. Read in one go, so that no reload can overtake another.
 * @throws KeyFileError with all that is wrong
 */
export function readKeys (file: string): [SigningKey, ...SigningKey[]] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new KeyFileError(file, [`it cannot be read: ${Object(error).code}`])
  }
  const { keys: [first, ...others], faults } = parseKeys(text)
  if (!first || faults.length > 0) throw new KeyFileError(file, faults)
  return [first, ...others]
}

/**
 * Adds a new key to the file, which is made where there is none. It goes last: it verifies until it is promoted, when
 * every instance, and everybody who remembers the public halves, knows it.
 */
export function addKey (file: string, alg: Algorithm): SigningKey[] {
  const keys = statSync(file, { throwIfNoEntry: false }) ? readKeys(file) : []
  return writeKeys(file, [...keys, ...parseKeys(generateKey(alg).export({ type: 'pkcs8', format: 'pem' }).toString()).keys])
}

/** Puts a key first, so that it signs. */
export function promoteKey (file: string, kid: string): SigningKey[] {
  const keys = readKeys(file)
  return writeKeys(file, [find(keys, kid), ...keys.filter(key => key.kid !== kid)])
}

/** Takes a key out, so that its tokens are void; never the one that signs. */
export function removeKey (file: string, kid: string): SigningKey[] {
  const keys = readKeys(file)
  if (find(keys, kid) === keys[0]) throw new Error(`The key ${kid} signs: promote another one first.`)
  return writeKeys(file, keys.filter(key => key.kid !== kid))
}

function find (keys: readonly SigningKey[], kid: string): SigningKey {
  const key = keys.find(key => key.kid === kid)
  if (!key) throw new Error(`There is no key ${kid}: the file has ${keys.map(key => key.kid).join(', ')}.`)
  return key
}

function generateKey (alg: Algorithm): KeyObject {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519').privateKey
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  // No more than RS256 asks for (RFC 7518 §3.3): 3072 bit take three times as long to sign, and requests wait for it.
  return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

/** As a JWK Set, whatever the file was. Beside its place and moved there, so that nobody ever reads half of it. */
function writeKeys (file: string, keys: SigningKey[]): SigningKey[] {
  const old = statSync(file, { throwIfNoEntry: false })
  const jwks = keys.map(({ privateKey, publicJwk }) => ({ ...publicJwk, ...privateKey.export({ format: 'jwk' }) }))
  const making = `${file}.making`
  rmSync(making, { force: true })
  writeFileSync(making, `${JSON.stringify({ keys: jwks }, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  if (old) {
    // The service may run as another user than whoever makes its keys.
    chownSync(making, old.uid, old.gid)
    chmodSync(making, old.mode)
  }
  renameSync(making, file)
  return keys
}
