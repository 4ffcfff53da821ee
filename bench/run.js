import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { startContestant } from './contestants.js'
import { createDatabase } from './databases.js'
import { measure } from './measure.js'
import { findNodes } from './nodes.js'
import { prepare } from './prepare.js'
import { toSvg, toTable } from './report.js'
import { checkTargets } from './targets.js'
import { OTHERS, WORKLOADS } from './workloads.js'

// Runs every workload on gatehouse and other servers, in alternation:
//
//   npm run bench                                               on the Node.js that runs this
//   npm run bench -- --node 20 --node 24                        on several versions, from the npm package `node`
//   npm run bench -- --quick --only "test user" --only refresh  shorter rounds, some workloads
//
// Every version runs servers of its own, under the load of this process. Other load on the machine affects all of them
// alike, so only the ratios are claims. A complete run writes docs/bench.json and docs/bench.svg.

const { values: { quick, only, node } } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: Object.keys(WORKLOADS) },
    node: { type: 'string', multiple: true }
  }
})
const unknown = only.find(workload => !(workload in WORKLOADS))
if (unknown) throw new Error(`Unknown workload "${unknown}". Use some of: ${Object.keys(WORKLOADS).join(', ')}`)
const chosen = Object.entries(WORKLOADS).filter(([workload]) => only.includes(workload))
const contestants = chosen.flatMap(([, { contestants }]) => contestants)
const names = [...new Set(contestants.map(name => OTHERS[name]?.service ?? name))]
const nodes = await findNodes(node)
const versions = nodes.map(({ version }) => version)
const duration = quick ? { rounds: 3, seconds: 1 } : { rounds: 5, seconds: nodes.length > 1 ? 3 : 4 }

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
// Each contestant has a pool of ten.
await postgres.start({ conf: ['max_connections = 500'] })

const services = Object.fromEntries(versions.map(version => [version, {}]))
const running = []
try {
  for (const [index, node] of nodes.entries()) {
    for (const [position, name] of names.entries()) {
      const service = await startContestant(name, await createDatabase(postgres, `bench_${index}_${position}`), node)
      running.push(service)
      services[node.version][name] = service
      await prepare(service)
    }
  }
  const results = []
  for (const workload of chosen) {
    results.push(await measure(workload, services, duration))
    console.error(`measured ${workload[0]}`)
  }

  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${versions.join(' and ')}, ${date}`
  console.log(`${machine}; ${duration.rounds} rounds of ${duration.seconds} s\n\n${toTable(results, versions)}\n`)
  for (const version of versions) console.log(checkTargets(results, version).join('\n'))
  const failing = results.filter(({ contestants }) => contestants.some(({ name, runs }) =>
    name.startsWith('gatehouse') && Object.values(runs).some(({ failed }) => failed > 0)))
  if (failing.length > 0) {
    throw new Error(`Requests to gatehouse failed in: ${failing.map(({ workload }) => workload).join(', ')}`)
  }
  if (!quick && chosen.length === Object.keys(WORKLOADS).length) {
    const docs = new URL('../docs/', import.meta.url)
    const measured = { machine, versions, ...duration, results }
    await writeFile(new URL('bench.json', docs), `${JSON.stringify(measured, null, 1)}\n`)
    await writeFile(new URL('bench.svg', docs), toSvg(results, versions, machine))
  }
} finally {
  for (const service of running) await service.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
