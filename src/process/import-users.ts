import pLimit from 'p-limit'
import type { Database } from '../../sql/database.ts'
import { advanceUserIds, existingUsers, type ImportedUser, importUsers } from '../../sql/import.ts'
import type { Argon2 } from '../passwords/argon2.ts'
import type { HashCost } from '../passwords/hash-cost.ts'
import { readHash } from '../passwords/read-hash.ts'
import { wrapBcrypt } from '../passwords/wrapped-bcrypt.ts'
import { createServiceCheck, createSourceCheck } from './import-conflicts.ts'
import { checkRow, type CheckedRow } from './import-row.ts'
import type { SourceRow } from './import-source.ts'

/** The number of conflicts that are listed. The rest is counted. */
const MAX_LISTED = 1000

/** What an import has done so far. */
export interface ImportReport {
  read: number
  /** users that were written or, in a dry run, can be */
  imported: number
  /** users that were there already */
  present: number
  conflicts: number
  /** bcrypt hashes that were wrapped */
  wrapped: number
  /** the first conflicts */
  listed: string[]
}

interface ImportOptions {
  /** false for a dry run, which writes nothing */
  apply: boolean
  /** hashes bcrypt hashes with argon2id, several at a time */
  wrap: { argon2: Argon2, cost: HashCost, concurrency: number } | undefined
  /** called often, with the report so far */
  onProgress: (report: ImportReport) => void
}

/**
 * Imports users in batches, each in one transaction with its audit events, so that an import that was killed can be run
 * again. Users with conflicts are not written.
 */
export async function importAll (
  db: Database,
  source: AsyncIterable<SourceRow[]>,
  { apply, wrap, onProgress }: ImportOptions
): Promise<ImportReport> {
  const report: ImportReport = { read: 0, imported: 0, present: 0, conflicts: 0, wrapped: 0, listed: [] }
  const checkSource = createSourceCheck()

  function reject (place: string, faults: string[]): void {
    report.conflicts++
    if (report.listed.length < MAX_LISTED) report.listed.push(`${place}: ${faults.join('; ')}`)
  }

  /** The users of a batch that can be written, with their places. */
  async function select (rows: CheckedRow[]): Promise<Map<number, { place: string, user: ImportedUser }>> {
    const users = rows.flatMap(({ user }) => user ?? [])
    const checkService = createServiceCheck(users.length === 0 ? [] : await db.query(existingUsers(users)))
    const selected = new Map<number, { place: string, user: ImportedUser }>()
    for (const { place, user, faults } of rows) {
      if (user) faults.push(...checkSource(user))
      const found = user ? checkService(user) : []
      if (found !== 'present') faults.push(...found)
      if (faults.length > 0) reject(place, faults)
      else if (found === 'present') report.present++
      else if (user) selected.set(user.id, { place, user })
    }
    return selected
  }

  /** Replaces bcrypt hashes by hashes of them. */
  async function wrapHashes (users: ImportedUser[]): Promise<ImportedUser[]> {
    if (!wrap) return users
    const limit = pLimit(wrap.concurrency)
    return await Promise.all(users.map(async user => await limit(async () => {
      const { password } = user
      if (password === null || readHash(password)?.format !== 'bcrypt') return user
      const wrapped = await wrapBcrypt(password, wrap.argon2, wrap.cost)
      report.wrapped++
      onProgress(report)
      return { ...user, password: wrapped }
    })))
  }

  async function write (selected: Map<number, { place: string, user: ImportedUser }>): Promise<void> {
    const users = await wrapHashes(Array.from(selected.values(), ({ user }) => user))
    const written = await db.transaction(async transaction => {
      await transaction.query(advanceUserIds(Math.max(...selected.keys())))
      return await transaction.query(importUsers(users))
    })
    report.imported += written.length
    for (const { id } of written) selected.delete(id)
    for (const { place } of selected.values()) reject(place, ['the id, username or e-mail address was taken meanwhile'])
  }

  for await (const batch of source) {
    report.read += batch.length
    const selected = await select(batch.map(checkRow))
    if (!apply) report.imported += selected.size
    else if (selected.size > 0) await write(selected)
    onProgress(report)
  }
  return report
}
