import { test } from 'tap'
import { retryDelay } from '../../../src/mail/retry.ts'

const MEAN = 0.5

test('delays double from half a minute to an hour', async t => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9, 50].map(attempts => retryDelay(attempts, 0, MEAN))
  t.strictSame(delays, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])
})

test('they vary by half', async t => {
  t.strictSame([retryDelay(1, 0, 0), retryDelay(1, 0, 1)], [15, 45])
  const delay = retryDelay(3, 0)
  t.ok(delay !== undefined && delay >= 60 && delay <= 180)
})

test('after a day there is no further attempt', async t => {
  t.strictSame([retryDelay(1, 86_370, MEAN), retryDelay(1, 86_371, MEAN)], [30, undefined])
})
