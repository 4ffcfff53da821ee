import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { argon2Loop } from './argon2-loop.js'
import { startContestants } from './contestants.js'
import { median, toSvg, toTable } from './report.js'
import { MIX_P99, OWN_SIGN_IN, OWN_USER, ownSignIn, ownUser, prepare, TARGETS, WORKLOADS } from './workloads.js'

// npm run bench [-- --quick] [--only "test user"]: runs every workload on gatehouse and other servers, in alternation.
// Other load on the machine affects all of them alike, so only the ratios are claims.

const { values: { quick, only } } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } }
})
const ROUNDS = quick ? 3 : 5
const SECONDS = quick ? 1 : 4
const chosen = Object.entries(WORKLOADS).filter(([workload]) => only === undefined || workload === only)
if (chosen.length === 0) throw new Error(`Unknown workload "${only}". Use one of: ${Object.keys(WORKLOADS).join(', ')}`)
const LOOPS = ['argon2', '@node-rs/argon2']
/** Contestants that are not processes of their own. */
const IN_PROCESS = [...LOOPS, OWN_SIGN_IN, OWN_USER]

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-bench-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
const results = []
let services = {}
try {
  const names = [...new Set(chosen.flatMap(([, { contestants }]) => contestants))]
  services = await startContestants(names.filter(name => !IN_PROCESS.includes(name)), postgres.url())
  const { startMs } = services.gatehouse
  const idle = services.gatehouse.memory()
  for (const service of Object.values(services)) await prepare(service)
  for (const name of LOOPS) services[name] = argon2Loop(name)
  services[OWN_SIGN_IN] = ownSignIn(services.gatehouse)
  services[OWN_USER] = ownUser(services.gatehouse)

  for (const [workload, { contestants, run }] of chosen) {
    const measure = async (service, seconds) =>
      service.run ? await service.run(seconds) : await run(service, { seconds })
    const rates = Object.fromEntries(contestants.map(name => [name, []]))
    const failed = Object.fromEntries(contestants.map(name => [name, 0]))
    for (const name of contestants) await measure(services[name], 1)
    for (let round = 0; round < ROUNDS; round++) {
      for (const name of contestants) {
        const measured = await measure(services[name], SECONDS)
        rates[name].push(measured.rate)
        failed[name] += measured.failed
      }
    }
    results.push({
      workload,
      contestants: contestants.map(name => ({
        name,
        rates: rates[name],
        median: median(rates[name]),
        failed: failed[name],
        memory: services[name].memory()
      }))
    })
    console.error(`measured ${workload}`)
  }

  const date = new Date().toISOString().slice(0, 10)
  const machine = `${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${date}`
  console.log(`${machine}; ${ROUNDS} rounds of ${SECONDS} s\n\n${toTable(results)}\n`)
  console.log(`gatehouse: first response ${Math.round(startMs)} ms after node started, on an empty database; ` +
    `${Math.round(idle)} MiB idle`)
  const rateOf = (workload, name) => results.find(result => result.workload === workload)?.contestants
    .find(contestant => contestant.name === name)?.median
  for (const [workload, other, target] of TARGETS) {
    const ratio = rateOf(workload, 'gatehouse') / rateOf(workload, other)
    if (Number.isNaN(ratio)) continue
    console.log(`${ratio >= target ? 'met   ' : 'MISSED'} ${workload}: ${ratio.toFixed(2)} × ${other}, target ${target}`)
  }
  const p99 = rateOf('mix', 'gatehouse')
  if (p99 !== undefined) {
    console.log(`${p99 <= MIX_P99 ? 'met   ' : 'MISSED'} mix: p99 ${Math.round(p99)} ms, target at most ${MIX_P99} ms`)
  }
  const failing = results.filter(({ contestants }) =>
    contestants.some(({ name, failed }) => name === 'gatehouse' && failed > 0))
  if (failing.length > 0) {
    throw new Error(`Requests to gatehouse failed in: ${failing.map(({ workload }) => workload).join(', ')}`)
  }
  if (!quick && only === undefined) {
    const docs = new URL('../docs/', import.meta.url)
    const measured = { machine, rounds: ROUNDS, seconds: SECONDS, startMs, idle, results }
    await writeFile(new URL('bench.json', docs), `${JSON.stringify(measured, null, 1)}\n`)
    await writeFile(new URL('bench.svg', docs), toSvg(results, machine))
  }
} finally {
  for (const service of Object.values(services)) await service.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
