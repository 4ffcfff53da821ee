import { chmodSync, chownSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'

/**
 * Replaces a file in one step, so that a reader never sees a part of it. A new file is readable by its owner only. An
 * existing file keeps its owner and its mode: the service may run as another user than the one that maintains its keys.
 * @throws the errors of node:fs
 */
export function writeSecretFile (file: string, text: string): void {
  const old = statSync(file, { throwIfNoEntry: false })
  const draft = `${file}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, text, { mode: 0o600, flag: 'wx' })
  try {
    if (old) {
      chownSync(draft, old.uid, old.gid)
      chmodSync(draft, old.mode)
    }
    renameSync(draft, file)
  } finally {
    rmSync(draft, { force: true })
  }
}
