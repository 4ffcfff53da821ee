import {
  chmodSync, chownSync, closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, statSync, writeFileSync
} from 'node:fs'

/**
 * Replaces a file in one step, so that a reader never sees a part of it. A new file is readable by its owner only. An
 * existing file keeps its owner and its mode: the service may run as another user than the one that maintains its keys.
 * @throws the errors of node:fs
 */
export function writeSecretFile (file: string, text: string): void {
  const old = statSync(file, { throwIfNoEntry: false })
  // The file that a link leads to, not the link.
  const target = old ? realpathSync(file) : file
  const draft = `${target}.draft`
  rmSync(draft, { force: true })
  const descriptor = openSync(draft, 'wx', 0o600)
  try {
    writeFileSync(descriptor, text)
    // Otherwise the file can be empty after a power failure.
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
  try {
    if (old) {
      chownSync(draft, old.uid, old.gid)
      chmodSync(draft, old.mode)
    }
    renameSync(draft, target)
  } finally {
    rmSync(draft, { force: true })
  }
}
