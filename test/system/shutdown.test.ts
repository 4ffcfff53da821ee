import { connect } from 'node:net'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createDatabase, SECRET, startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const SERVICE = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1', PORT: '0', HOST: '127.0.0.1', JWT_SECRET: SECRET, LOG_LEVEL: 'info' }

/** 500 requests a second over connections that are kept; what became of each. */
async function load (address: string, isOver: () => boolean) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const outcomes: Record<string, number> = {}
  const send = async (): Promise<string> => await new Promise(resolve => {
    const outgoing = request(`${address}/api/test/all`, { agent }, reply => {
      reply.resume().on('end', () => resolve(String(reply.statusCode)))
    })
    // One that was never sent found nobody listening any more. So did one whose new connection still waited in the
    // kernel's queue when the socket closed: the kernel resets it, and no process ever saw it.
    outgoing.on('error', error => {
      const code = String(Object(error).code)
      resolve(code === 'ECONNRESET' && !outgoing.reusedSocket ? 'ECONNREFUSED' : code)
    })
    outgoing.end()
  })
  const running: Array<Promise<void>> = []
  for (let due = performance.now(); !isOver(); due += 2) {
    if (due > performance.now()) await sleep(due - performance.now())
    running.push(send().then(outcome => { outcomes[outcome] = (outcomes[outcome] ?? 0) + 1 }))
  }
  await Promise.all(running)
  agent.destroy()
  return outcomes
}

test('a draining service is not ready, and serves on', async t => {
  const { app, get } = await startApp(t)
  t.equal((await get('/health/ready')).status, 200)
  app.drain()
  const { status, headers, body } = await get('/health/ready')
  t.equal(status, 503)
  t.equal(headers['retry-after'], '1')
  t.strictSame(body, { message: 'The service is shutting down. Please try again.', code: 'SHUTTING_DOWN' })
  t.equal((await get('/health/live')).status, 200)
  t.equal((await get('/api/test/all')).status, 200)
})

for (const [title, env] of [['at once', {}], ['after a drain delay', { DRAIN_DELAY: '1' }], ['of two workers', { WORKERS: '2', DRAIN_DELAY: '1' }]] as const) {
  test(`SIGTERM at 500 requests a second loses none that was sent: ${title}`, async t => {
    const server = runServer(t, { cwd: await createFolder(t), env: { ...SERVICE, ...env, DATABASE_URL: await createDatabase(t) } })
    const address = await server.address()
    const workers = 'WORKERS' in env ? 2 : 1
    await until('all to listen', () => new Set(server.logs().filter(line => line.msg.startsWith('Server listening')).map(line => line['pid'])).size === workers)
    let isOver = false
    const outcomes = load(address, () => isOver)
    await sleep(1500)
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    isOver = true
    const { 200: answered = 0, ECONNREFUSED: afterwards = 0, ...others } = await outcomes
    t.ok(answered > 500, `${answered} answered, ${afterwards} found it closed`)
    t.strictSame(others, {})
    t.equal(server.stderr(), '')
  })
}

test('what does not end within SHUTDOWN_GRACE is forced', async t => {
  const server = runServer(t, {
    cwd: await createFolder(t),
    env: { ...SERVICE, DATABASE_URL: await createDatabase(t), SHUTDOWN_GRACE: '1', REQUEST_TIMEOUT: '60', HEADERS_TIMEOUT: '60' }
  })
  const { port } = new URL(await server.address())
  const socket = connect(Number(port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.write('POST /api/auth/signin HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
  await sleep(200)
  const begin = Date.now()
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 1)
  t.ok(Date.now() - begin < 5000)
  t.equal(server.stderr(), 'Closing took longer than SHUTDOWN_GRACE and was forced.\n')
})
