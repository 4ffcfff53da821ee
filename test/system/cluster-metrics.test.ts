import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { freePort } from '../support/port.ts'
import { runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

test('the primary serves the sums of the metrics of its workers', async t => {
  const port = await freePort()
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: {
      ARGON2_MEMORY_KIB: '1024',
      ARGON2_TIME: '1',
      PORT: '0',
      HOST: '127.0.0.1',
      JWT_SECRET: SECRET,
      DATABASE_URL: await createDatabase(t),
      METRICS_PORT: String(port),
      WORKERS: '2'
    }
  })
  const address = await server.address()
  const listening = () => {
    const lines = server.logs().filter(line => line.msg.startsWith('Server listening'))
    return [...new Set(lines.map(line => Number(line['pid'])))]
  }
  await until('two workers', () => listening().length === 2)
  for (let i = 0; i < 10; i++) {
    t.equal((await fetch(`${address}/api/test/all`, { headers: { connection: 'close' } })).status, 200)
  }
  const read = async () => await fetch(`http://127.0.0.1:${port}/metrics`).then(async response => await response.text(), () => '')
  await until('the metrics of both workers', async () => {
    const text = await read()
    return text.includes('\ngatehouse_invalidation_listening 2\n') &&
      text.includes('http_request_duration_seconds_count{method="GET",route="/api/test/all",status="200"} 10\n')
  })

  const worker = Number(listening()[0])
  process.kill(worker, 'SIGSTOP')
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 503, 'a worker does not respond')
  process.kill(worker, 'SIGCONT')
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})
