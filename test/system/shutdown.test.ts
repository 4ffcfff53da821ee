import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { createDatabase, SECRET, startApp } from '../support/app.ts'
import { errorCode } from '../../src/unknown.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

const SERVICE = { ...CHEAP, JWT_SECRET: SECRET }

/** Sends 500 requests a second over connections that are kept alive. */
function startLoad (address: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  const outcomes: Record<string, number> = {}
  const send = async (): Promise<string> => await new Promise(resolve => {
    const outgoing = request(`${address}/api/test/all`, { agent }, response => {
      response.resume().on('end', () => resolve(String(response.statusCode)))
    })
    // A request that was never sent found the port closed. So did one whose new connection was still in the kernel's
    // queue when the socket closed: the kernel resets it, and no process ever saw it.
    outgoing.on('error', error => {
      const code = errorCode(error)
      resolve(code === 'ECONNRESET' && !outgoing.reusedSocket ? 'ECONNREFUSED' : String(code))
    })
    outgoing.end()
  })
  const load = { isStopped: false }
  const running: Array<Promise<void>> = []
  const run = async () => {
    for (let due = performance.now(); !load.isStopped; due += 2) {
      if (due > performance.now()) await sleep(due - performance.now())
      running.push(send().then(outcome => { outcomes[outcome] = (outcomes[outcome] ?? 0) + 1 }))
    }
    await Promise.all(running)
    agent.destroy()
  }
  const finished = run()
  return {
    answered: () => outcomes['200'] ?? 0,
    /** @returns the number of requests by status or error code */
    async stop () {
      load.isStopped = true
      await finished
      return outcomes
    }
  }
}

test('a draining service is not ready, and keeps serving', async t => {
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

const SHUTDOWNS = [
  ['at once', {}],
  ['after a drain delay', { DRAIN_DELAY: '1' }],
  ['of two workers', { WORKERS: '2', DRAIN_DELAY: '1' }]
] as const

for (const [title, env] of SHUTDOWNS) {
  test(`SIGTERM at 500 requests a second loses no request that was sent: ${title}`, async t => {
    const server = runServer(t, {
      cwd: await createFolder(t), env: { ...SERVICE, ...env, DATABASE_URL: await createDatabase(t) }
    })
    const address = await server.address()
    const isListening = () => new Set(server.logs().filter(line => line.msg.startsWith('Server listening'))
      .map(line => line['pid'])).size === ('WORKERS' in env ? 2 : 1)
    await until('every worker to listen', isListening)
    const load = startLoad(address)
    await until('a steady load', () => load.answered() > 500)
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    const { 200: answered = 0, ECONNREFUSED: refused = 0, ...others } = await load.stop()
    t.comment(`${answered} answered, ${refused} found the port closed`)
    t.strictSame(others, {})
    t.equal(server.stderr(), '')
  })
}

test('a connection on which nothing was sent does not delay the shutdown', async t => {
  const { app } = await startApp(t)
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  t.equal((await fetch(address)).status, 200, 'another connection is kept alive')
  const accepted = once(app.server, 'connection')
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  await accepted
  const closed = once(socket, 'close')
  const begin = performance.now()
  await app.close()
  await closed
  // CONNECTION_TIMEOUT would close it after 30 s, and SHUTDOWN_GRACE force the exit after 10 s.
  t.ok(performance.now() - begin < 8000, `${performance.now() - begin} ms`)
})
