import { parseArgs } from 'node:util'
import { newEncryptionKey } from '../tokens/encryption-keys.ts'
import { addKey, promoteKey, readKeys, removeKey } from '../tokens/key-file.ts'
import { type Algorithm, algorithms, type SigningKey } from '../tokens/signing-keys.ts'
import type { Invocation } from './command-line.ts'

const usage = (invocation: Invocation): string => `Usage:
  ${invocation('keys')} new --file FILE [--alg ${algorithms.join('|')}]   add a key, and create the file if necessary
  ${invocation('keys')} promote KID --file FILE   make this key sign
  ${invocation('keys')} remove KID --file FILE    remove a key, which revokes its tokens
  ${invocation('keys')} list --file FILE
  ${invocation('keys')} new --encryption   print a new key for ENCRYPTION_KEYS`

const isAlgorithm = (name: string): name is Algorithm => (algorithms as readonly string[]).includes(name)

/**
 * The command `keys`, which maintains the file of JWT_KEYS_FILE and generates encryption keys.
 * @returns the text to print: a new encryption key, or the keys that the file has now, without their private parts
 * @throws Error with the usage, or with the reason why the file cannot be changed
 */
export function runKeys (args: string[], invocation: Invocation): string {
  const { values, positionals: [action, kid, ...more] } = parseArgs({
    args,
    options: {
      file: { type: 'string' },
      alg: { type: 'string' },
      encryption: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    },
    allowPositionals: true
  })
  const { file, alg = algorithms[0], encryption, help } = values
  if (help) return usage(invocation)
  if (encryption) {
    if (action !== 'new' || kid !== undefined || file !== undefined || values.alg !== undefined) {
      throw new Error(usage(invocation))
    }
    return `ENCRYPTION_KEYS=${newEncryptionKey()}`
  }
  if (!file || more.length > 0 || !isAlgorithm(alg)) throw new Error(usage(invocation))
  if (action === 'new' && kid === undefined) return describe(addKey(file, alg))
  if (action === 'promote' && kid) return describe(promoteKey(file, kid))
  if (action === 'remove' && kid) return describe(removeKey(file, kid))
  if (action === 'list' && kid === undefined) return describe(readKeys(file))
  throw new Error(usage(invocation))
}

const describe = (keys: readonly SigningKey[]): string =>
  keys.map(({ kid, alg }, index) => `${index === 0 ? 'signs   ' : 'verifies'}  ${alg}  ${kid}`).join('\n')
