import { test } from 'tap'
import { isAlive } from '../../src/process/is-alive.ts'
import { childrenOf } from '../support/process.ts'
import { until } from '../support/wait.ts'
import { Load } from './load.ts'
import { listens, PASSWORD, startInstance, startPostgres, walk } from './machine.ts'

test('WORKERS=2: two workers share a port, a killed one is replaced, SIGTERM ends all', async t => {
  const { port, folder } = await startPostgres(t)
  const instance = await startInstance(t, folder, 'gatehouse', {
    WORKERS: '2',
    DATABASE_URL: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  })
  await listens(instance)
  const listening = () => {
    const lines = instance.output().matchAll(/"pid":(\d+)[^\n]*Server listening/g)
    return new Set(Array.from(lines, match => Number(match[1])))
  }
  await until('both', () => listening().size === 2)
  t.strictSame(new Set(await childrenOf(instance.pid)), listening(), 'both are children of the primary')
  await walk(t, instance.url, 'alice')

  const load = new Load(instance.url, 50)
  load.begin()
  await until('some load', () => load.total() > 50)
  const [victim] = listening()
  process.kill(Number(victim), 'SIGKILL')
  const killed = Date.now()
  await until('a third', () => listening().size === 3)
  t.comment(`a new worker listened ${Date.now() - killed} ms after the old one was killed`)
  const healed = Date.now()
  const goal = load.total() + 50
  await until('more load', () => load.total() > goal)
  await load.finish()
  t.comment(load.summary())
  t.strictSame(load.failedSince(healed), [], 'then the status of every response is 200')
  // The connections of the killed worker are reset.
  t.strictSame(load.statuses().filter(status => status !== 200 && status !== 0), [])

  const all = await childrenOf(instance.pid)
  t.equal(all.length, 2)
  instance.kill('SIGTERM')
  t.equal(await instance.ended, 0)
  t.strictSame(all.filter(isAlive), [], 'no worker is left')
})
