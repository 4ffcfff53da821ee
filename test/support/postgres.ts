import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'

/** Names the data folder of the server, for the test files of the run. */
const handover = join(import.meta.dirname, '..', '..', '.tap', 'test-postgres')

/** A migrated database, which every database of a test is a copy of. */
export const TEMPLATE = 'gatehouse_template'

const password = 'listens-on-127.0.0.1-only'

/** Data need not survive a crash, and waiting for the disk would double the duration of a run. */
export const FAST_AND_LOOSE = ['fsync = off', 'synchronous_commit = off', 'full_page_writes = off', 'max_connections = 200']

export async function createServer (): Promise<EmbeddedPostgres> {
  // A run that was killed may have left one behind.
  await removeServer().catch(() => {})
  await mkdir(dirname(handover), { recursive: true })
  // Outside the checkout, whose folders may deny PostgreSQL's user access.
  const dir = join(tmpdir(), `gatehouse-test-${process.pid}-${Date.now()}`)
  await writeFile(handover, dir)
  const postgres = await EmbeddedPostgres.at(dir, password)
  await postgres.start({ conf: FAST_AND_LOOSE })
  return postgres
}

export async function openServer (): Promise<EmbeddedPostgres> {
  return await EmbeddedPostgres.at(await readFile(handover, 'utf8'), password)
}

export async function removeServer (): Promise<void> {
  const postgres = await openServer()
  await postgres.stop('immediate')
  await rm(await readFile(handover, 'utf8'), { recursive: true })
  await rm(handover)
}
