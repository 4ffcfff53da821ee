import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { readClassicTables } from '../../sql/classic-tables.ts'

/** A user as the source has it. */
export interface SourceRow {
  /** where it is, for messages: `line 3` */
  place: string
  /** not validated */
  value: unknown
  /** why the row cannot be read */
  fault?: string
}

interface Options {
  schema: string | undefined
  /** rows per batch */
  limit: number
  stdin: Readable
}

/**
 * Reads the users to import, in batches.
 * @param from the URL of a database, a file of NDJSON, or `-` for the standard input
 * @throws Error if the source cannot be read
 */
export async function * readSource (from: string, { schema, limit, stdin }: Options): AsyncGenerator<SourceRow[]> {
  if (/^postgres(ql)?:\/\//.test(from)) {
    for await (const users of readClassicTables(from, { schema, limit })) {
      yield users.map(value => ({ place: 'table users', value }))
    }
    return
  }
  if (/^\w+:\/\//.test(from)) {
    throw new Error('Only PostgreSQL is read directly. Write the users of other databases as NDJSON: docs/migration.md.')
  }
  if (schema !== undefined) throw new Error('--schema is for the URL of a database.')
  if (from === '-') {
    yield * readLines(stdin, limit)
    return
  }
  const file = await open(from)
  yield * readLines(file.createReadStream(), limit)
}

function parse (line: string, number: number): SourceRow {
  const place = `line ${number}`
  try {
    return { place, value: JSON.parse(line) }
  } catch {
    // Without the message of the error, which quotes the line, and so perhaps its hash.
    return { place, value: undefined, fault: 'it is not JSON' }
  }
}

/** Reads NDJSON: one JSON value per line. Empty lines are ignored. */
async function * readLines (input: Readable, limit: number): AsyncGenerator<SourceRow[]> {
  let batch: SourceRow[] = []
  let number = 0
  let rest = ''
  const add = (line: string): void => {
    number++
    if (line.trim() !== '') batch.push(parse(line, number))
  }
  for await (const chunk of input.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.splice(-1).join()
    for (const line of lines) {
      add(line)
      if (batch.length < limit) continue
      yield batch
      batch = []
    }
  }
  add(rest)
  if (batch.length > 0) yield batch
}
