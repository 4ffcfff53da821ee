import { once } from 'node:events'
import { connect } from 'node:net'
import { test, type Test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { send } from '../support/http-client.ts'
import { canFault, faultOnSignal } from '../support/fault.ts'
import { keyFile, privateKeys, toPem } from '../support/keys.ts'
import { CHEAP, childrenOf, hasEnded, runAtTerminal, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

async function start (t: Test, env: Record<string, string> = {}) {
  const server = runServer(t, {
    cwd: await createFolder(t), env: { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, ...env }
  })
  return { ...server, url: await server.address() }
}

/** Sends half a request, which keeps the service from closing until REQUEST_TIMEOUT. */
async function sendHalf (t: Test, url: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.write('POST /api/auth/signin HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{')
  // The service has accepted the connection above once it answers on a later one.
  await send(url)
}

const isRefused = async (url: string) => await send(url).then(() => false, () => true)

const SLOW = { REQUEST_TIMEOUT: '60', HEADERS_TIMEOUT: '60' }

test('a request that does not end within SHUTDOWN_GRACE does not delay the end further', async t => {
  const { child, url, ended, stderr } = await start(t, { ...SLOW, SHUTDOWN_GRACE: '1' })
  await sendHalf(t, url)
  child.kill('SIGTERM')
  t.equal(await ended, 1)
  t.equal(stderr(), 'The shutdown took longer than SHUTDOWN_GRACE and was forced.\n')
})

test('a second signal forces the end', async t => {
  const { child, url, ended, stderr } = await start(t, { ...SLOW, SHUTDOWN_GRACE: '300' })
  await sendHalf(t, url)
  child.kill('SIGTERM')
  await until('the port to be closed', async () => await isRefused(url))
  t.equal(child.exitCode, null, 'one signal waits for the request')
  child.kill('SIGINT')
  t.equal(await ended, 1)
  t.equal(stderr(), 'second SIGINT, exiting\n')
})

test('SIGHUP ends a service without JWT_KEYS_FILE, as when its terminal is closed; a second one changes nothing', async t => {
  const { child, url, ended, stderr } = await start(t, { DRAIN_DELAY: '1' })
  child.kill('SIGHUP')
  await until('the drain', async () => (await send(`${url}/health/ready`)).status === 503)
  child.kill('SIGHUP')
  t.equal(await ended, 0)
  t.equal(stderr(), '')
})

test('an unexpected error ends the process with its stack and code 1', async t => {
  const bug = 'process.on("SIGUSR2", () => { throw new Error("a bug") })'
  const { child, ended, stderr } = await start(t, {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bug)}`
  })
  child.kill('SIGUSR2')
  t.equal(await ended, 1)
  t.match(stderr(), /^Error: a bug\n {4}at /)
})

test('a native fault ends the process by its signal, within a second', { skip: !canFault }, async t => {
  const { child, ended } = await start(t, { NODE_OPTIONS: await faultOnSignal(t) })
  child.kill('SIGUSR2')
  await until('its end', () => child.signalCode !== null, 1000)
  t.equal(await ended, 'SIGSEGV')
})

test('a worker with a native fault ends, and is replaced', { skip: !canFault }, async t => {
  const server = await start(t, { NODE_OPTIONS: await faultOnSignal(t), WORKERS: '2' })
  const lines = (text: string) => server.logs().filter(({ msg }) => msg.startsWith(text))
  await until('two workers', () => lines('Server listening').length === 2)
  const faulty = Number(lines('Server listening')[0]?.['pid'])
  t.teardown(() => { if (!hasEnded(faulty)) process.kill(faulty, 'SIGKILL') })
  process.kill(faulty, 'SIGUSR2')
  await until('its end', () => hasEnded(faulty), 1000)
  await until('another', () => lines('Server listening').length === 3)
  t.match(lines('worker exited'), [{ pid: faulty, code: null, signal: 'SIGSEGV' }])
  t.equal((await send(`${server.url}/health/ready`)).status, 200)
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
})

/** Starts the service at a terminal, and waits until it listens. */
async function startAtTerminal (t: Test, env: Record<string, string> = {}) {
  const terminal = await runAtTerminal(t, {
    cwd: await createFolder(t), env: { ...CHEAP, DATABASE_URL: await createDatabase(t), JWT_SECRET: SECRET, ...env }
  })
  await until('the address', () => terminal.screen().includes('Service   http://'))
  return terminal
}

test('closing the terminal ends the process', async t => {
  const { pid, hangUp } = await startAtTerminal(t)
  hangUp()
  t.ok(await until('its end', () => hasEnded(pid), 1000))
})

test('closing the terminal also ends a service that reloads its keys at SIGHUP', async t => {
  const { file } = await keyFile(t, toPem(privateKeys.EdDSA()))
  const { pid, hangUp, screen } = await startAtTerminal(t, { JWT_KEYS_FILE: file })
  process.kill(pid, 'SIGHUP')
  await until('the reload', () => screen().split('the first one signs').length === 3)
  hangUp()
  t.ok(await until('its end', () => hasEnded(pid), 1000))
})

test('closing the terminal also ends the workers', async t => {
  const { file } = await keyFile(t, toPem(privateKeys.EdDSA()))
  const { pid, hangUp } = await startAtTerminal(t, { JWT_KEYS_FILE: file, WORKERS: '2' })
  const workers = await until('two workers', async () => (await childrenOf(pid)).length === 2 && await childrenOf(pid))
  hangUp()
  t.ok(await until('the end of all', () => [pid, ...workers].every(hasEnded)))
})
