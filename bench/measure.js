import { median } from './report.js'
import { OTHERS } from './workloads.js'

async function measureRound (service, { before, run }, seconds) {
  const prepared = await before?.(service)
  const cpu = service.cpu()
  const measured = await run(service, { seconds, prepared })
  return { cpu: service.cpu() - cpu, memory: service.memory(), ...measured }
}

const sum = (rounds, key) => rounds.reduce((total, round) => total + round[key], 0)

const summarise = rounds => ({
  values: rounds.map(({ value }) => value),
  median: median(rounds.map(({ value }) => value)),
  failed: sum(rounds, 'failed'),
  // CPU time of the server in milliseconds.
  ...rounds[0].requests !== undefined && { cpu: sum(rounds, 'cpu') / sum(rounds, 'requests') },
  memory: rounds.at(-1).memory
})

/**
 * Measures one workload in rounds, each of every contestant on every version of Node.js. The first round compiles the
 * code, and does not count.
 * @param entry of WORKLOADS
 * @param {Record<string, Record<string, object>>} services by version of Node.js and by name
 */
export async function measure ([workload, { contestants, unit, rounds: own, ...load }], services, { rounds, seconds }) {
  const cells = contestants.flatMap(name => Object.keys(services).map(version => {
    const { service, ...other } = OTHERS[name] ?? { service: name, ...load }
    return { name, version, service: services[version][service], load: other, rounds: [] }
  }))
  for (const { service, load } of cells) await measureRound(service, load, seconds)
  for (let round = 0; round < (own ?? rounds); round++) {
    for (const { service, load, rounds } of cells) rounds.push(await measureRound(service, load, seconds))
  }
  return {
    workload,
    unit,
    contestants: contestants.map(name => ({
      name,
      runs: Object.fromEntries(cells.filter(cell => cell.name === name)
        .map(({ version, rounds }) => [version, summarise(rounds)]))
    }))
  }
}
