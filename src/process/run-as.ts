import { execFile } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** The user for a program that refuses to run as root. */
export interface RunAs {
  uid: number
  gid: number
  /** whether a folder on the way to the program's files denies that user access */
  isLockedOut: boolean
}

/**
 * @param paths files that the program needs
 * @returns undefined unless this process runs as root
 */
export async function findRunAs (paths: string[]): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined
  /* c8 ignore start: covered where the tests run as root, as in CI */
  const id = async (flag: string) => Number((await exec('id', [flag, 'nobody'])).stdout)
  const [uid, gid] = await Promise.all([id('-u'), id('-g')])
  const folders = await Promise.all(paths.flatMap(ancestors).map(async folder => await stat(folder)))
  return { uid, gid, isLockedOut: folders.some(({ mode }) => (mode & 0o001) === 0) }
}
/* c8 ignore stop */

/**
 * Runs a program until it exits.
 * @throws what child_process.execFile throws: an Error with `stdout` and `stderr`
 */
export async function execAs (runAs: RunAs | undefined, program: string, args: string[]): Promise<void> {
  // The working directory may be inaccessible to the other user.
  const options = { cwd: '/' }
  /* c8 ignore start: covered where the tests run as a plain user */
  if (!runAs) {
    await exec(program, args, options)
    return
  }
  /* c8 ignore stop */
  /* c8 ignore start: covered where the tests run as root, as in CI */
  const { uid, gid, isLockedOut } = runAs
  if (!isLockedOut) {
    await exec(program, args, { ...options, uid, gid })
    return
  }
  // The files are below a folder that only root can enter (mode 0700). setpriv (util-linux) lets the other user keep
  // the capability to pass through folders and to read files. dac_override would also let it write anywhere.
  // no_setuid_fixup is needed because access(2), with which PostgreSQL looks for its own programs, would otherwise
  // ignore that capability.
  await exec('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--securebits=+no_setuid_fixup',
    '--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search', program, ...args], options)
}

/** The folders on the way to a path. */
const ancestors = (path: string): string[] => dirname(path) === path ? [] : [dirname(path), ...ancestors(dirname(path))]
/* c8 ignore stop */
