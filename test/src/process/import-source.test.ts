import { Readable } from 'node:stream'
import { test } from 'tap'
import { readSource, type SourceRow } from '../../../src/process/import-source.ts'

/** The batches of an NDJSON that arrives in these chunks. */
async function read (...chunks: Array<string | Buffer>): Promise<SourceRow[][]> {
  const stdin = Readable.from(chunks.map(chunk => Buffer.from(chunk)), { objectMode: false })
  const batches = []
  for await (const batch of readSource('-', { schema: undefined, limit: 2, stdin })) batches.push(batch)
  return batches
}

test('lines are numbered, and read in batches, however they arrive', async t => {
  const expected = [
    [{ place: 'line 1', value: { name: 'Zoë' } }, { place: 'line 3', value: 2 }],
    [{ place: 'line 4', value: undefined, fault: 'it is not JSON' }]
  ]
  const text = '{"name":"Zoë"}\n\r\n2\r\n{"name":'
  t.strictSame(await read(text), expected)
  t.strictSame(await read(...Array.from(Buffer.from(text), byte => Buffer.from([byte]))), expected, 'byte by byte')
  t.strictSame(await read(`${text}\n`), expected)
  t.strictSame(await read(''), [])
})

test('a source that fails is not taken for its end', async t => {
  const stdin = new Readable({ read () { this.destroy(new Error('the disk has failed')) } })
  const batches = readSource('-', { schema: undefined, limit: 2, stdin })
  await t.rejects(batches.next(), { message: 'the disk has failed' })
})
