import { test } from 'tap'
import { Backoff } from '../../src/backoff.ts'

const take = (backoff: Backoff, count: number) => Array.from({ length: count }, () => backoff.next())

test('each delay is twice the one before, up to the maximum', async t => {
  t.strictSame(take(new Backoff(100, 2000), 7), [100, 200, 400, 800, 1600, 2000, 2000])
})

test('a reset starts over with the first delay', async t => {
  const backoff = new Backoff(100, 2000)
  take(backoff, 6)
  backoff.reset()
  t.strictSame(take(backoff, 2), [100, 200])
})
