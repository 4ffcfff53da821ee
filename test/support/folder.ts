import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** An empty folder outside the checkout, whose folders may deny PostgreSQL's user access. Removed at the end. */
export async function createFolder (t: Test, mode = 0o755): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-test-'))
  await chmod(folder, mode)
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  return folder
}
