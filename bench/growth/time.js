import { readdir } from 'node:fs/promises'
import { median } from '../report.js'
import { samplesOf } from './samples.js'
import { statements } from './statements.js'

const SQL = new URL('../../dist/sql/', import.meta.url)

/** Executions for each sample. */
const PASSES = 5

/** Milliseconds for one statement, after which fewer samples are asked for. */
const LIMIT = 3000

async function loadStatements () {
  const names = (await readdir(SQL)).filter(name => name.endsWith('.js'))
  const modules = await Promise.all(names.map(async name => await import(new URL(name, SQL).href)))
  return statements(Object.assign({}, ...modules))
}

/** Executes a statement in the open transaction, and rolls it back. @returns microseconds */
async function timeOnce (client, { name, text, values }) {
  const begin = performance.now()
  await client.query({ name, text, values })
  const duration = performance.now() - begin
  await client.query('ROLLBACK; BEGIN')
  return duration * 1000
}

/** Times one statement on each database, in turn, so that other load on the machine affects all of them alike. */
async function timeStatement (build, databases) {
  const times = databases.map(() => [])
  const end = performance.now() + LIMIT
  for (let i = 0; i < databases[0].samples.length && performance.now() < end; i++) {
    const shortest = databases.map(() => Infinity)
    for (let pass = 0; pass < PASSES; pass++) {
      for (const [index, { client, samples }] of databases.entries()) {
        shortest[index] = Math.min(shortest[index], await timeOnce(client, build(samples[i])))
      }
    }
    for (const [index, duration] of shortest.entries()) times[index].push(duration)
  }
  return times
}

/**
 * @returns the duration of each statement at each size in microseconds: the median over the samples of the shortest of
 * five executions, which leaves out other load and pages that are in no cache yet
 */
export async function timeStatements (databases) {
  for (const { client } of databases) await client.query('BEGIN')
  const results = []
  for (const [statement, build] of Object.entries(await loadStatements())) {
    const times = await timeStatement(build, databases)
    results.push({ statement, samples: times[0].length, medians: times.map(of => Math.round(median(of))) })
  }
  return results
}

export const withSamples = (client, size) => ({ client, size, samples: samplesOf(size) })
