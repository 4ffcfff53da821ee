import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'undici'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { startContestant } from './contestants.js'
import { createDatabase } from './databases.js'
import { credentials, prepare, signInSome } from './prepare.js'
import { median } from './report.js'

// npm run bench:workers: the CPU time of a request to several workers, relative to one process. Every process has as
// many requests a second on as many connections, and no core is saturated. In `npm run bench`, the workers share the
// load of one process instead, so that each of their wake-ups serves fewer requests.

const ROUNDS = 7
const SECONDS = 5
const WORKERS = availableParallelism()
const POST = { method: 'POST', headers: { 'content-type': 'application/json' } }

/** `perSecond` and `connections` are per process. `requests` returns the request of a connection by its index. */
const WORKLOADS = {
  'test user': {
    perSecond: 2000,
    connections: 32,
    requests: async ({ headers }) => () => ({ method: 'GET', path: '/api/test/user', headers })
  },
  refresh: {
    perSecond: 400,
    connections: 16,
    requests: async service => {
      const tokens = await signInSome(service)
      const bodies = tokens.map(refreshToken => JSON.stringify({ refreshToken }))
      return index => ({ ...POST, path: '/api/auth/refreshtoken', body: bodies[index % bodies.length] })
    }
  },
  'sign-in': {
    perSecond: 15,
    connections: 8,
    requests: async () => index => ({ ...POST, path: '/api/auth/signin', body: JSON.stringify(credentials(index)) })
  }
}

/** Sends requests at a constant rate over connections that take turns. @returns milliseconds of CPU per request */
async function measure (service, processes, { perSecond, connections, requests }) {
  const requestOf = await requests(service)
  const clients = Array.from({ length: connections * processes }, () => new Client(service.origin))
  const interval = clients.length * 1000 / (perSecond * processes)
  const begin = performance.now()
  const cpu = service.cpu()
  let sent = 0
  await Promise.all(clients.map(async (client, index) => {
    for (let due = begin + index * interval / clients.length; due < begin + SECONDS * 1000; due += interval) {
      if (due > performance.now()) await sleep(due - performance.now())
      const { statusCode, body } = await client.request(requestOf(index))
      await body.dump()
      if (statusCode !== 200) throw new Error(`${service.name} responds ${statusCode}`)
      sent++
    }
    await client.close()
  }))
  return (service.cpu() - cpu) / sent
}

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-workers-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
const running = []
try {
  for (const [name, processes] of [['gatehouse', 1], ['gatehouse cluster', WORKERS]]) {
    const service = await startContestant(name, await createDatabase(postgres, `workers_${processes}`))
    running.push({ service, processes })
    await prepare(service)
  }
  console.log(`| workload | requests a second per process | ms of CPU per request, one process | ${WORKERS} workers | ratio |`)
  console.log('| --- | --- | --- | --- | --- |')
  for (const [workload, options] of Object.entries(WORKLOADS)) {
    const rounds = running.map(() => [])
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [index, { service, processes }] of running.entries()) {
        const cpu = await measure(service, processes, options)
        // The first round compiles the code, and does not count.
        if (round > 0) rounds[index].push(cpu)
      }
    }
    const [one, several] = rounds.map(median)
    const cells = [workload, options.perSecond, one.toFixed(3), several.toFixed(3), (several / one).toFixed(2)]
    console.log(`| ${cells.join(' | ')} |`)
  }
} finally {
  for (const { service } of running) await service.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
