import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

test('a database that is unavailable at the start', async t => {
  const cwd = await createFolder(t)
  const start = (url: string, env = {}) => runServer(t, {
    cwd,
    env: {
      ...CHEAP, DATABASE_URL: url, JWT_SECRET: SECRET, DATABASE_START_TIMEOUT: '1', DATABASE_CONNECT_TIMEOUT: '1', ...env
    }
  })

  // Accepts connections and never answers, until the test closes it.
  const sockets = new Set<Socket>()
  const silent = createServer(socket => { sockets.add(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const closeSilent = async () => {
    const closed = once(silent, 'close')
    silent.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const url = `postgres://gatehouse:db-secret@127.0.0.1:${port}/gatehouse`

  await t.test('one that accepts connections but never answers ends the wait in time', async t => {
    const server = start(url)
    t.equal(await server.ended, 1)
    t.match(server.stderr(), /^The database did not respond within DATABASE_START_TIMEOUT \(1 s\)\. Check DATABASE_URL and the server\. Last error: /)
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
  })
  await closeSilent()

  await t.test('one that refuses connections is tried again, then the process exits with what to check', async t => {
    const server = start(url)
    t.equal(await server.ended, 1)
    t.equal(server.stderr(), 'The database did not respond within DATABASE_START_TIMEOUT (1 s). Check DATABASE_URL and ' +
      `the server. Last error: connect ECONNREFUSED 127.0.0.1:${port}\n`)
    t.strictSame(server.logs().map(line => line.msg), [100, 200, 400].map(delay =>
      `database unavailable, next attempt in ${delay} ms: connect ECONNREFUSED 127.0.0.1:${port}`))
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
  })

  await t.test('one that becomes available is used', async t => {
    const available = new URL(await createDatabase(t))
    const server = start(url, { DATABASE_START_TIMEOUT: '60' })
    await until('the first attempt', () => server.logs().length > 0)
    // From now on the port leads to a server that has no such user, which ends the attempts at once.
    const forward = createServer(socket => {
      const to = connect(Number(available.port), '127.0.0.1')
      socket.on('error', () => to.destroy())
      to.on('error', () => socket.destroy())
      socket.pipe(to).pipe(socket)
    }).listen(port, '127.0.0.1')
    await once(forward, 'listening')
    t.teardown(() => forward.close())
    t.equal(await server.ended, 1)
    t.equal(server.stderr(), 'password authentication failed for user "gatehouse"\n')
  })

  await t.test('one that rejects the password ends it at once', async t => {
    const wrong = new URL(await createDatabase(t))
    wrong.password = 'db-secret'
    const server = start(wrong.href, { DATABASE_START_TIMEOUT: '3600' })
    t.equal(await server.ended, 1)
    t.equal(server.stderr(), 'password authentication failed for user "postgres"\n')
    t.notMatch(server.stderr() + server.stdout(), 'db-secret')
    t.strictSame(server.logs(), [])
  })
})
