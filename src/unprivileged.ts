import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** The user that a program runs as where we are root and it refuses to be. */
export interface Substitute {
  uid: number
  gid: number
  /** whether it cannot reach the program's files by its own rights */
  lockedOut: boolean
}

/**
 * Who to be for a program that does not run as root; undefined where we are not root ourselves.
 * @param paths what the program has to reach
 */
export async function findSubstitute (paths: string[]): Promise<Substitute | undefined> {
  if (process.getuid?.() !== 0) return undefined
  /* c8 ignore start: only where the tests run as root */
  const id = async (flag: string) => Number((await exec('id', [flag, 'nobody'])).stdout)
  const [uid, gid] = await Promise.all([id('-u'), id('-g')])
  const passable = await Promise.all(paths.flatMap(ancestors).map(async folder => ((await stat(folder)).mode & 0o001) !== 0))
  return { uid, gid, lockedOut: passable.includes(false) }
}
/* c8 ignore stop */

/**
 * Runs a program to its end, as the substitute if there is one.
 * @throws what child_process.execFile throws: an Error with `stdout` and `stderr`
 */
export async function execAs (substitute: Substitute | undefined, program: string, args: string[]): Promise<void> {
  // Every user may be in the root folder, which is not sure of where we are.
  const options = { cwd: '/' }
  /* c8 ignore start: where the tests run as root it is never taken */
  if (!substitute) {
    await exec(program, args, options)
    return
  }
  /* c8 ignore stop */
  /* c8 ignore start: only where the tests run as root */
  const { uid, gid, lockedOut } = substitute
  if (!lockedOut) {
    await exec(program, args, { ...options, uid, gid })
    return
  }
  // Only root may enter a folder on the way (mode 0700). The substitute keeps one right of root's, to pass through
  // folders; util-linux's setpriv is on every distribution that the binaries run on.
  // (no_setuid_fixup: otherwise access(2), by which PostgreSQL looks for its own programs, disregards that right.)
  await exec('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup',
    '--inh-caps=+dac_override', '--ambient-caps=+dac_override', program, ...args], options)
}
/* c8 ignore stop */

/** The folders that must be entered on the way to a path. */
/* c8 ignore start: only where the tests run as root */
const ancestors = (path: string): string[] => dirname(path) === path ? [] : [dirname(path), ...ancestors(dirname(path))]
/* c8 ignore stop */
