import { createWriteStream } from 'node:fs'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import type { Database } from '../../sql/database.ts'
import { exportPage } from '../../sql/export.ts'
import type { Settings } from '../config/settings.ts'
import { withDatabase } from './command-database.ts'
import type { Invocation } from './command-line.ts'
import { createProgress, thousands } from './progress.ts'

const usage = (invocation: Invocation): string => `Usage: ${invocation('export')} [--to FILE]
Writes all users as NDJSON, one per line, which the command import reads. The password hashes are included: keep the
result secret. Only the owner can read FILE, which must not exist. Without --to, the standard output is written to.`

const PAGE = 1000

/** The lines of all users, a page at a time, so that memory does not grow with their number. */
async function * exportUsers (db: Database, onPage: (users: number) => void): AsyncGenerator<string> {
  let after = 0
  let count = 0
  for (;;) {
    const users = await db.query(exportPage({ after, limit: PAGE }))
    const last = users.at(-1)
    if (!last) return
    after = last.id
    count += users.length
    yield users.map(user => `${JSON.stringify(user)}\n`).join('')
    onPage(count)
  }
}

/**
 * The command `export`. It works beside a running service, also in development mode.
 * @returns the text to print; empty, so that the standard output has nothing but users
 * @throws Error with the usage, or with the reason why nothing can be written
 */
export async function runExport (
  settings: () => Settings,
  args: string[],
  { invocation, stdout, stderr }: { invocation: Invocation, stdout: Writable, stderr: Writable }
): Promise<string> {
  const { to, help } = parseArgs({
    args,
    options: { to: { type: 'string' }, help: { type: 'boolean', short: 'h', default: false } }
  }).values
  if (help) return usage(invocation)
  return await withDatabase(settings(), async ({ db }) => {
    const progress = createProgress(stderr)
    let total = 0
    const users = exportUsers(db, count => {
      total = count
      progress(`Users exported: ${thousands(count)}`)
    })
    if (to === undefined) await pipeline(users, stdout, { end: false })
    else await pipeline(users, createWriteStream(to, { flags: 'wx', mode: 0o600 }))
    stderr.write(`Users exported: ${thousands(total)}\n`)
    return ''
  })
}
