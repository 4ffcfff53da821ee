import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { until } from '../support/wait.ts'
import { Load } from './load.ts'
import { listens, PASSWORD, startInstance, startPostgres, walk } from './machine.ts'

const childrenOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)

test('WORKERS=2: two processes serve one port, a killed one is replaced, SIGTERM ends all', async t => {
  const { port, folder } = await startPostgres(t)
  const instance = await startInstance(t, folder, 'gatehouse', {
    WORKERS: '2',
    DATABASE_URL: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  })
  await listens(instance)
  const listening = () => new Set(Array.from(instance.output().matchAll(/"pid":(\d+)[^\n]*Server listening/g), match => Number(match[1])))
  await until('both', () => listening().size === 2)
  t.strictSame(new Set(await childrenOf(instance.pid)), listening(), 'both are children of the first process')
  await walk(t, instance.url, 'alice')

  const load = new Load(instance.url, 50)
  load.begin()
  await until('some load', () => load.total() > 50)
  const [victim] = listening()
  process.kill(Number(victim), 'SIGKILL')
  const killed = Date.now()
  await until('a third', () => listening().size === 3)
  t.comment(`a new worker listened ${Date.now() - killed} ms after the old one's death`)
  const healed = Date.now()
  const goal = load.total() + 50
  await until('more load', () => load.total() > goal)
  await load.finish()
  t.comment(load.summary())
  t.strictSame(load.refusedSince(healed), [], 'then every request is answered with 200')
  // Those that the dying worker held are reset, as by any process that is killed.
  t.strictSame(load.statuses().filter(status => status !== 200 && status !== 0), [])

  const all = await childrenOf(instance.pid)
  t.equal(all.length, 2)
  instance.kill('SIGTERM')
  t.equal(await instance.ended, 0)
  t.strictSame(all.filter(pid => isAlive(pid)), [], 'no worker is left')
})

function isAlive (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
