import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

// More clients than file descriptors: with @fastify/under-pressure, which this process must not use, it exited with
// code 1 within two seconds of such a flood.

const LIMIT = 256
/** What is left for clients: LIMIT without DATABASE_POOL_MAX (10) and the 64 that the process keeps. */
const AVAILABLE = 182

test('clients that keep every connection open neither end the process nor lock others out', async t => {
  const env = { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, MAX_CONNECTIONS: '20000' }
  const server = runServer(t, { cwd: await createFolder(t), env, descriptors: LIMIT })
  const address = await server.address()
  t.strictSame(server.warnings(), [`MAX_CONNECTIONS is 20000, but the limit of ${LIMIT} file descriptors (ulimit -n) ` +
    `only allows ${AVAILABLE}. Raise that limit, or lower MAX_CONNECTIONS.`])

  const { hostname, port } = new URL(address)
  const sockets: Socket[] = []
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  let responses = 0
  for (let i = 0; i < 2 * LIMIT; i++) {
    const socket = connect(Number(port), hostname).on('error', () => {}).on('data', () => { responses++ })
    sockets.push(socket)
    socket.write('GET /api/test/all HTTP/1.1\r\nhost: gatehouse\r\n\r\n')
  }
  await until('as many responses as there are connections', () => responses >= AVAILABLE)
  // Longer than two samples of the load, which ended the process.
  const since = performance.now()
  const health = async () => await fetch(`${address}/health/live`).then(response => response.status, () => 0)
  await until('three seconds of health', async () => {
    await until('a new client to be served', async () => await health() === 200)
    return performance.now() - since > 3000
  })
  t.equal(server.child.exitCode, null)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.notMatch(server.stderr(), 'EMFILE')
})

test('a limit that MAX_CONNECTIONS fits into is not mentioned', async t => {
  const env = { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, MAX_CONNECTIONS: '100' }
  const server = runServer(t, { cwd: await createFolder(t), env, descriptors: LIMIT })
  await server.address()
  t.strictSame(server.warnings(), [])
  server.child.kill('SIGTERM')
  await once(server.child, 'exit')
})
