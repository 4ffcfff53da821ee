import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'tap'
import { createDatabase, SECRET } from '../../support/app.ts'
import { createFolder } from '../../support/folder.ts'
import { runServer } from '../../support/process.ts'
import { until } from '../../support/wait.ts'

const SERVICE = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1', PORT: '0', HOST: '127.0.0.1', JWT_SECRET: SECRET }

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('figures have a port of their own, on this machine only', async t => {
  const port = await freePort()
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { ...SERVICE, DATABASE_URL: await createDatabase(t), METRICS_PORT: String(port) }
  })
  const address = await server.address()
  const url = `http://127.0.0.1:${port}/metrics`
  await until('the figures', () => server.logs().some(line => line.msg === `Figures for Prometheus at ${url}`))
  const response = await fetch(url)
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  const figures = await response.text()
  for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_p99_seconds', 'gatehouse_invalidation_listening 1']) {
    t.match(figures, `\n${name}`, name)
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
  t.equal((await fetch(url, { method: 'POST' })).status, 404)
  t.equal((await fetch(`${address}/metrics`)).status, 404, 'not on the public one')

  const second = runServer(t, {
    cwd: await createFolder(t),
    env: { ...SERVICE, DATABASE_URL: await createDatabase(t), METRICS_PORT: String(port) }
  })
  t.equal((await fetch(await second.address())).status, 200, 'a taken port is no reason not to serve')
  await until('the reason', () => second.logs().some(line => line['level'] === 40 &&
    line.msg === `No figures for Prometheus: listen EADDRINUSE: address already in use 127.0.0.1:${port}. METRICS_PORT chooses another port, 0 none.`))

  for (const { child, ended } of [server, second]) {
    child.kill('SIGTERM')
    t.equal(await ended, 0)
  }
})

test('the primary serves the sums of its workers', async t => {
  const port = await freePort()
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { ...SERVICE, DATABASE_URL: await createDatabase(t), METRICS_PORT: String(port), WORKERS: '2' }
  })
  const address = await server.address()
  await until('two workers', () => new Set(server.logs().filter(line => line.msg.startsWith('Server listening')).map(line => line['pid'])).size === 2)
  for (let i = 0; i < 10; i++) t.equal((await fetch(`${address}/api/test/all`, { headers: { connection: 'close' } })).status, 200)
  const figures = async () => await fetch(`http://127.0.0.1:${port}/metrics`).then(async response => await response.text(), () => '')
  await until('both workers\' figures', async () => {
    const text = await figures()
    return text.includes('\ngatehouse_authority_listening 2\n') &&
      text.includes('http_request_duration_seconds_count{method="GET",route="/api/test/all",status="200"} 10\n')
  })

  const [worker] = [...new Set(server.logs().filter(line => line.msg.startsWith('Server listening')).map(line => Number(line['pid'])))]
  process.kill(Number(worker), 'SIGSTOP')
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 503, 'a worker does not answer')
  process.kill(Number(worker), 'SIGCONT')
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 200)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})
