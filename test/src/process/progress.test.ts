import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { createProgress, thousands } from '../../../src/process/progress.ts'

test('progress is written at most once a second', async t => {
  const output = new PassThrough()
  let now = 0
  const progress = createProgress(output, () => now)
  for (const [time, line] of [[0, 'a'], [999, 'b'], [1000, 'c'], [1999, 'd'], [2500, 'e'], [3000, 'f']] as const) {
    now = time
    progress(line)
  }
  t.equal(String(output.read()), 'c\ne\n')
})

test('thousands are separated', async t => {
  t.strictSame([0, 999, 1000, 1234567].map(thousands), ['0', '999', '1,000', '1,234,567'])
})
