import type { Test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { root, run } from './description.ts'

interface Packed {
  filename: string
  size: number
  files: Array<{ path: string }>
}

/** Packs the npm package into a folder of its own. `install` adds it to the folder's packages. */
export async function pack (t: Test) {
  const folder = await createFolder(t)
  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], root)
  t.equal(packed.code, 0, packed.stderr)
  const [{ filename, size, files }] = JSON.parse(packed.stdout) as [Packed]
  return {
    folder,
    size,
    paths: files.map(({ path }) => path),
    async install (...options: string[]) {
      const installed = await run('npm', ['install', '--no-audit', '--no-fund', ...options, `./${filename}`], folder)
      t.equal(installed.code, 0, installed.stderr)
    }
  }
}
