import { type Test, test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { freePort } from '../support/port.ts'
import { CHEAP, childrenOf, runServer } from '../support/process.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

/** A service with two workers, and the port of its metrics. */
async function startWorkers (t: Test, DATABASE_URL: string) {
  const port = await freePort()
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { ...CHEAP, JWT_SECRET: SECRET, DATABASE_URL, METRICS_PORT: String(port), WORKERS: '2' }
  })
  const address = await server.address()
  const listening = () => {
    const lines = server.logs().filter(line => line.msg.startsWith('Server listening'))
    return [...new Set(lines.map(line => Number(line['pid'])))]
  }
  await until('two workers', () => listening().length === 2)
  return { server, address, worker: Number(listening()[0]), metricsUrl: `http://127.0.0.1:${port}/metrics` }
}

test('the primary serves the sums of the metrics of its workers', async t => {
  const { server, address, worker, metricsUrl } = await startWorkers(t, await createDatabase(t))
  for (let i = 0; i < 10; i++) {
    t.equal((await fetch(`${address}/api/test/all`, { headers: { connection: 'close' } })).status, 200)
  }
  const read = async () => await fetch(metricsUrl).then(async response => await response.text(), () => '')
  await until('the metrics of both workers', async () => {
    const text = await read()
    return text.includes('\ngatehouse_invalidation_listening 2\n') &&
      text.includes('http_request_duration_seconds_count{method="GET",route="/api/test/all",status="200"} 10\n')
  })

  process.kill(worker, 'SIGSTOP')
  t.equal((await fetch(metricsUrl)).status, 503, 'a worker does not respond')
  process.kill(worker, 'SIGCONT')
  t.equal((await fetch(metricsUrl)).status, 200)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})

test('a worker that waits for the database does not keep the primary from the metrics of the others', async t => {
  const proxy = await openProxy(t, await createDatabase(t))
  const { server, worker, metricsUrl } = await startWorkers(t, proxy.url)
  proxy.freeze()
  process.kill(worker, 'SIGKILL')
  await until('another worker', async () => {
    const workers = await childrenOf(Number(server.child.pid))
    return workers.length === 2 && !workers.includes(worker)
  }, 10_000)
  await until('the metrics', async () => (await fetch(metricsUrl)).status === 200, 15_000)
  t.equal((await childrenOf(Number(server.child.pid))).length, 2)
  proxy.thaw()
})
