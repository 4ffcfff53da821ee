import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { startContestant } from './contestants.js'
import { createDatabase } from './databases.js'
import { findNodes } from './nodes.js'
import { prepare } from './prepare.js'

// npm run bench:connections [-- --node 20 --node 24]: requests at a constant rate over many kept connections, each of
// which sends one in turn. Fails if a request to gatehouse fails, or takes longer than the maximum at the 99th
// percentile.

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '30' },
    node: { type: 'string', multiple: true }
  }
})
const connections = Number(values.connections)
const rate = Number(values.rate)
const seconds = Number(values.seconds)
/** Milliseconds from the time at which a request was due, at the 99th percentile. */
const MAX_P99 = 20
const PATHS = { gatehouse: '/api/test/user', bare: '/api/test/all' }

/** Memory is in MiB: idle, with the connections open and one request of each done, and at the end. */
async function measure (service) {
  const client = fork(new URL('connections-client.js', import.meta.url))
  const ask = async message => {
    client.send(message)
    const exit = once(client, 'exit').then(() => { throw new Error('The client exited.') })
    const [answer] = await Promise.race([once(client, 'message'), exit])
    return answer
  }
  const idle = service.memory()
  const path = PATHS[service.name]
  await ask({ action: 'open', origin: service.origin, path, headers: service.headers ?? {}, connections })
  const open = service.memory()
  const cpu = service.cpu()
  const measured = await ask({ action: 'pace', rate, count: rate * seconds })
  const cpuMs = (service.cpu() - cpu) / (rate * seconds)
  const after = service.memory()
  client.disconnect()
  await once(client, 'exit')
  return { ...measured, cpuMs, idle, open, after, 'KiB per connection': (after - idle) * 1024 / connections }
}

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-connections-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
let service
try {
  const table = {}
  const missed = []
  for (const [index, node] of (await findNodes(values.node)).entries()) {
    for (const name of Object.keys(PATHS)) {
      service = await startContestant(name, await createDatabase(postgres, `${name}_${index}`), node)
      await prepare(service)
      const { failed, ...measured } = await measure(service)
      await service.stop()
      const cells = Object.entries(measured).map(([key, value]) => [key, Number(value.toPrecision(3))])
      table[`${name}, ${node.version}`] = { ...Object.fromEntries(cells), failed }
      if (name === 'gatehouse' && (failed > 0 || measured.p99 > MAX_P99)) missed.push(node.version)
    }
  }
  console.log(`${connections} connections, ${rate} requests a second over all of them, for ${seconds} s: latency and CPU ` +
    'time per request in milliseconds, memory in MiB')
  console.table(table)
  if (missed.length > 0) {
    throw new Error(`Requests failed or took more than ${MAX_P99} ms at the 99th percentile on ${missed.join(' and ')}.`)
  }
} finally {
  await service?.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
