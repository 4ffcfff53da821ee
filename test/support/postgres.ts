import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'

// Outside the checkout, which may lie where PostgreSQL's user cannot enter.
const handover = join(import.meta.dirname, '..', '..', '.tap', 'test-postgres')

/** A database with every migration, of which each test file gets a copy. */
export const TEMPLATE = 'gatehouse_template'

const password = 'only-on-this-machine'

/** Losing data in a crash is no loss here, and waiting for the disk would be half of the run. */
export const FAST_AND_LOOSE = ['fsync = off', 'synchronous_commit = off', 'full_page_writes = off', 'max_connections = 200']

export async function createServer (): Promise<EmbeddedPostgres> {
  // What a run that was killed has left behind.
  await removeServer().catch(() => {})
  await mkdir(dirname(handover), { recursive: true })
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
