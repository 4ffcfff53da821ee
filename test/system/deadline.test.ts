import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createDatabase, startApp } from '../support/app.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

test('with 300 ms between service and database, 50 requests a second get responses within the deadline', async t => {
  const proxy = await openProxy(t, await createDatabase(t), { latency: 300 })
  const service = await startApp(t, { DATABASE_URL: proxy.url, REQUEST_DEADLINE: 3, SIGNIN_MAX_FAILURES: 1000 })
  await service.signUp('ann')
  const times: number[] = []
  const statuses = new Set<number>()
  const request = async () => {
    const begin = performance.now()
    const { status } = await service.post('/api/auth/signin', { username: 'ann', password: 'correct horse' })
    times.push(performance.now() - begin)
    statuses.add(status)
  }
  const requests: Array<Promise<void>> = []
  for (let i = 0; i < 150; i++) {
    requests.push(request())
    await sleep(20)
  }
  await Promise.all(requests)
  t.ok(Math.max(...times) < 5000, `the slowest response took ${Math.max(...times)} ms`)
  t.notOk([...statuses].some(status => status !== 200 && status !== 503), `statuses ${[...statuses].join(', ')}`)
  await until('a request to succeed again', async () => {
    await request()
    return statuses.has(200)
  })
})
