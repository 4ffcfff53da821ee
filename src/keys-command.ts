import { parseArgs } from 'node:util'
import { addKey, promoteKey, readKeys, removeKey } from './key-file.ts'
import { type Algorithm, algorithms, type SigningKey } from './signing-keys.ts'

const USAGE = `Say what to do with which file:
  keys new --file FILE [--alg ${algorithms.join('|')}]   adds a key, or makes the file
  keys promote KID --file FILE   has this key sign
  keys remove KID --file FILE    voids the tokens of this key
  keys list --file FILE`

const isAlgorithm = (name: string): name is Algorithm => (algorithms as readonly string[]).includes(name)

/**
 * The command `keys`: looks after the file of JWT_KEYS.
 * @returns what to print: the keys of the file as they are now, without their private halves
 */
export function runKeys (args: string[]): string {
  const { values: { file, alg }, positionals: [action, kid, ...more] } = parseArgs({
    args,
    options: { file: { type: 'string' }, alg: { type: 'string', default: algorithms[0] } },
    allowPositionals: true
  })
  if (!file || more.length > 0 || !isAlgorithm(alg)) throw new Error(USAGE)
  if (action === 'new' && kid === undefined) return describe(addKey(file, alg))
  if (action === 'promote' && kid) return describe(promoteKey(file, kid))
  if (action === 'remove' && kid) return describe(removeKey(file, kid))
  if (action === 'list' && kid === undefined) return describe(readKeys(file))
  throw new Error(USAGE)
}

const describe = (keys: readonly SigningKey[]): string =>
  keys.map(({ kid, alg }, index) => `${index === 0 ? 'signs   ' : 'verifies'}  ${alg}  ${kid}`).join('\n')
