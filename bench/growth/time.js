import { readdir } from 'node:fs/promises'
import { median } from '../report.js'
import { samplesOf } from './samples.js'
import { statements } from './statements.js'

const SQL = new URL('../../dist/sql/', import.meta.url)

/** Milliseconds after which a statement that is slow at every size is not executed again. */
const LIMIT = 4000

async function loadStatements () {
  const names = (await readdir(SQL)).filter(name => name.endsWith('.js'))
  const modules = await Promise.all(names.map(async name => await import(new URL(name, SQL).href)))
  return statements(Object.assign({}, ...modules))
}

/** Executes a statement in a transaction that is rolled back. @returns microseconds */
async function timeOnce (client, { name, text, values }) {
  await client.query('BEGIN')
  const begin = performance.now()
  await client.query({ name, text, values })
  const duration = performance.now() - begin
  await client.query('ROLLBACK')
  return duration * 1000
}

/**
 * Times each statement on each database. The databases are asked in turn, so that other load on the machine affects all
 * of them alike. Every sample is asked for twice, and the second time counts: the first one reads pages that are in no
 * cache yet.
 * @returns the median duration of each statement, in microseconds, by size
 */
export async function timeStatements (databases) {
  const results = []
  for (const [name, build] of Object.entries(await loadStatements())) {
    const times = databases.map(() => [])
    const end = performance.now() + LIMIT
    for (const isCounted of [false, true]) {
      const half = isCounted ? end : end - LIMIT / 2
      for (let i = 0; i < databases[0].samples.length && (i < 5 || performance.now() < half); i++) {
        for (const [index, { client, samples }] of databases.entries()) {
          const duration = await timeOnce(client, build(samples[i]))
          if (isCounted) times[index].push(duration)
        }
      }
    }
    results.push({
      statement: name,
      executions: times[0].length,
      medians: times.map(of => Math.round(median(of)))
    })
  }
  return results
}

export const withSamples = (client, size) => ({ client, size, samples: samplesOf(size) })
