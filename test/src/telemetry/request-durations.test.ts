import { test } from 'tap'
import { createSeries, cumulativeBuckets, record } from '../../../src/telemetry/request-durations.ts'

test('durations are counted in cumulative buckets', async t => {
  const series = createSeries('GET', '/', 200)
  for (const seconds of [0.0004, 0.001, 0.0011, 0.2, 3]) record(series, seconds)
  t.strictSame(cumulativeBuckets(series), [
    { le: '0.001', count: 2 },
    { le: '0.0025', count: 3 },
    { le: '0.005', count: 3 },
    { le: '0.01', count: 3 },
    { le: '0.025', count: 3 },
    { le: '0.05', count: 3 },
    { le: '0.1', count: 3 },
    { le: '0.25', count: 4 },
    { le: '0.5', count: 4 },
    { le: '1', count: 4 },
    { le: '2.5', count: 4 },
    { le: '5', count: 5 },
    { le: '+Inf', count: 5 }
  ])
  t.ok(Math.abs(series.sum - 3.2025) < 1e-9)
})

test('a duration beyond every bound is counted in the bucket +Inf', async t => {
  const series = createSeries('GET', '/', 200)
  record(series, 60)
  t.strictSame(cumulativeBuckets(series).map(({ count }) => count), [...new Array<number>(12).fill(0), 1])
  t.equal(series.sum, 60)
})
