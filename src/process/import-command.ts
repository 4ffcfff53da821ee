import { parseArgs } from 'node:util'
import type { Readable, Writable } from 'node:stream'
import type { Settings } from '../config/settings.ts'
import { loadArgon2 } from '../passwords/argon2.ts'
import { withDatabase } from './command-database.ts'
import type { Invocation } from './command-line.ts'
import { readSource } from './import-source.ts'
import { importAll, type ImportReport } from './import-users.ts'
import { createProgress, thousands } from './progress.ts'

const usage = (invocation: Invocation): string => `Usage: ${invocation('import')} --from SOURCE [--apply] [--wrap] [--schema NAME]
Imports users with their passwords, ids and roles from another service. Without --apply nothing is written: the dry run
lists every conflict. It can be run again after an interruption: users that are there already are skipped.

  --from postgres://…   the tables users, roles and user_roles of a database
  --from FILE, --from - NDJSON, one user per line, from a file or a pipe: docs/migration.md
  --apply               write the users that have no conflict
  --wrap                hash bcrypt hashes with argon2id at once, which takes about 30 ms each
  --schema NAME         the schema of the tables`

/** Users per batch. With --wrap a batch takes long, and what was hashed for it is lost if the import is killed. */
const BATCH = 1000
const WRAPPED_BATCH = 100

interface Context {
  invocation: Invocation
  stdin: Readable
  /** for progress */
  stderr: Writable
  /** called if there are conflicts */
  fail: () => void
}

/**
 * The command `import`. It works beside a running service, also in development mode.
 * @returns the text to print
 * @throws Error with the usage, or with the reason why the source cannot be read
 */
export async function runImport (
  settings: () => Settings,
  args: string[],
  { invocation, stdin, stderr, fail }: Context
): Promise<string> {
  const { from, schema, apply, wrap, help } = parseArgs({
    args,
    options: {
      from: { type: 'string' },
      schema: { type: 'string' },
      apply: { type: 'boolean', default: false },
      wrap: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  }).values
  if (help) return usage(invocation)
  if (!from) throw new Error(usage(invocation))
  return await withDatabase(settings(), async ({ db, log, config }) => {
    const progress = createProgress(stderr)
    const report = await importAll(db, readSource(from, { schema, limit: wrap ? WRAPPED_BATCH : BATCH, stdin }), {
      apply,
      wrap: !wrap
        ? undefined
        : {
            argon2: await loadArgon2(),
            cost: { memory: config.ARGON2_MEMORY_KIB, time: config.ARGON2_TIME, parallelism: 1 },
            concurrency: config.ARGON2_CONCURRENCY
          },
      onProgress: ({ read, wrapped }) => {
        progress(`Users read: ${thousands(read)}${wrap ? `, hashes wrapped: ${thousands(wrapped)}` : ''}`)
      }
    })
    if (apply && report.imported > 0) log.info({ event: 'user_created', imported: report.imported }, 'user_created')
    if (report.conflicts > 0) fail()
    return describe(report, apply)
  })
}

function describe ({ read, imported, present, conflicts, listed }: ImportReport, apply: boolean): string {
  const unlisted = conflicts - listed.length
  return [
    ...apply ? [] : ['Dry run: nothing was written. Add --apply to write.'],
    `Users read: ${thousands(read)}`,
    `${apply ? 'Imported' : 'To import'}: ${thousands(imported)}`,
    `Already there: ${thousands(present)}`,
    `Conflicts: ${thousands(conflicts)}${apply && conflicts > 0 ? ', not written' : ''}`,
    ...listed.map(line => `  ${line}`),
    ...unlisted > 0 ? [`  and ${thousands(unlisted)} more`] : []
  ].join('\n')
}
