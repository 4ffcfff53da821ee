import { migrate } from '../../sql/migrate.ts'
import { endSomeSessions } from '../../sql/sessions.ts'
import type { Settings } from '../config/settings.ts'
import { withDatabase } from './command-database.ts'

/**
 * The command `migrate`, for a database whose tables belong to another role than the service's. It needs no secrets.
 * @param url DATABASE_URL
 * @returns the text to print
 * @throws Error if there is none, and what `migrate` throws
 */
export async function runMigrate (url: string | undefined): Promise<string> {
  if (!url) throw new Error('Set DATABASE_URL to the database, with the role that owns its tables.')
  const applied = await migrate(url)
  return applied.length === 0 ? 'The database is up to date.' : `Applied: ${applied.join(', ')}`
}

/** Rows per statement: few enough that no request waits noticeably for their locks. */
const BATCH = 1000

/**
 * The command `sign-out-everybody`. It works beside a running service, also in development mode.
 * @returns the text to print
 */
export async function runSignOutEverybody (settings: Settings): Promise<string> {
  return await withDatabase(settings, async ({ db, log }) => {
    let total = 0
    let count = BATCH
    while (count === BATCH) {
      count = (await db.query(endSomeSessions(BATCH))).length
      total += count
    }
    log.warn({ event: 'authn_token_revoked', sessions: total }, 'authn_token_revoked')
    return `Sessions ended: ${total}`
  })
}
