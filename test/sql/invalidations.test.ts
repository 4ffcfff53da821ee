import { type Test, test } from 'tap'
import { InvalidationListener } from '../../sql/invalidations.ts'
import { createDatabase, sql } from '../support/app.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

type SendProof = (proof: string) => Promise<unknown>

/** A listener with twenty heartbeats a second, and so a proof every half second. */
function createListener (connectionString: string, sendProof: SendProof, connectTimeout = 5) {
  const lost: string[] = []
  const listener = new InvalidationListener({
    connectionString,
    connectTimeout,
    heartbeat: 0.05,
    sendProof,
    onInvalidation () {},
    onStart () {},
    onLost: reason => { lost.push(reason) }
  })
  return { listener, lost }
}

async function startListener (t: Test, connectionString: string, sendProof: SendProof) {
  const { listener, lost } = createListener(connectionString, sendProof)
  await listener.start()
  t.teardown(async () => await listener.stop())
  return { listener, lost }
}

const notify = (url: string) => async (proof: string) =>
  await sql(url, 'SELECT pg_notify(\'gatehouse_invalidation\', $1)', [proof])

test('a connection on which notifications stop arriving is no longer trusted', async t => {
  const url = await createDatabase(t)
  let isSilent = false
  const proxy = await openProxy(t, url, {
    change: message => isSilent && message[0] === 'A'.charCodeAt(0) ? undefined : message
  })
  const { listener, lost } = await startListener(t, proxy.url, notify(url))
  await until('a heartbeat', () => listener.isCurrent())
  isSilent = true
  await until('the loss', () => lost.length > 0, 10_000)
  t.match(lost[0], 'notification sent through DATABASE_URL')
  t.equal(listener.isCurrent(), false)
  isSilent = false
  await until('a new connection', () => listener.isCurrent(), 10_000)
})

test('a connection to another database than the pool\'s is not trusted', async t => {
  const [url, other] = [await createDatabase(t), await createDatabase(t)]
  const { listener, lost } = await startListener(t, other, notify(url))
  t.equal(listener.isCurrent(), false)
  t.match(lost[0], 'LISTEN_DATABASE_URL must lead to the same database')
})

test('a pool that cannot send is tolerated for as long as a proof is valid', async t => {
  const url = await createDatabase(t)
  let isFailing = false
  let failures = 0
  const { listener, lost } = await startListener(t, url, async proof => {
    if (!isFailing) return await notify(url)(proof)
    failures++
    throw new Error('the pool is busy')
  })
  await until('a heartbeat', () => listener.isCurrent())
  isFailing = true
  await until('a failure', () => failures > 0)
  t.strictSame(lost, [])
  await until('the loss', () => lost.length > 0, 10_000)
  t.ok(failures > 1, 'more than one proof was tried')
  t.match(lost[0], 'has arrived for 30 heartbeats')
  t.equal(listener.isCurrent(), false)
})

test('a listener stops while it connects to a server that does not respond', async t => {
  const url = await createDatabase(t)
  const proxy = await openProxy(t, url)
  proxy.freeze()
  const { listener } = createListener(proxy.url, notify(url), 60)
  const starting = listener.start()
  await until('the connection', () => proxy.count() > 0)
  await listener.stop()
  await starting
  t.equal(listener.isCurrent(), false)
})
