import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/embedded-postgres.js'
import { startContestants } from './contestants.js'
import { send } from './load.js'
import { median } from './report.js'
import { PASSWORD } from './workloads.js'

// npm run bench:soak [-- --minutes=10]: people come, look around for a while and leave, over and over; what the service
// takes after minute 3 it may not take much more of at the end.

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
const SETTLED = Math.min(3, minutes / 2)
const PEOPLE = 24
const MOST = 1.15

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-soak-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
let gatehouse
try {
  ({ gatehouse } = await startContestants(['gatehouse'], await postgres.url()))
  const { origin } = gatehouse
  const begin = performance.now()
  const elapsed = () => (performance.now() - begin) / 60_000
  const statuses = {}
  let visits = 0

  const ask = async (path, options) => {
    const { status, body } = await send(origin, path, options)
    statuses[status] = (statuses[status] ?? 0) + 1
    return status === 200 && body.startsWith('{') ? JSON.parse(body) : {}
  }

  async function visit () {
    const username = `visitor${visits++}`
    await ask('/api/auth/signup', { body: { username, email: `${username}@example.com`, password: PASSWORD } })
    let { accessToken, refreshToken } = await ask('/api/auth/signin', { body: { username, password: PASSWORD } })
    for (let i = 0; i < 5; i++) {
      for (const path of ['/api/test/all', '/api/test/user', '/api/test/user', '/api/users/me', '/nowhere']) {
        await ask(path, { token: accessToken })
        await sleep(10)
      }
      ({ accessToken, refreshToken } = await ask('/api/auth/refreshtoken', { body: { refreshToken } }))
    }
    await ask('/api/auth/signin', { body: { username, password: 'a wrong one' } })
    await ask('/api/auth/signout', { body: { refreshToken } })
  }

  const samples = []
  const sample = setInterval(() => samples.push({ at: elapsed(), mib: gatehouse.memory() }), 2000)
  await Promise.all(Array.from({ length: PEOPLE }, async () => { while (elapsed() < minutes) await visit() }))
  clearInterval(sample)

  /** The median of half a minute: a single look depends on when garbage was collected last. */
  const around = minute => median(samples.filter(({ at }) => Math.abs(at - minute) <= 0.25).map(({ mib }) => mib))
  const [settled, end] = [around(SETTLED), around(minutes - 0.25)]
  console.log(`${visits} visits in ${Math.round(elapsed())} minutes, replies by status: ${JSON.stringify(statuses)}`)
  console.log(`${Math.round(settled)} MiB at minute ${SETTLED}, ${Math.round(end)} MiB at the end: ${(end / settled).toFixed(3)} times as much, at most ${Math.round(Math.max(...samples.map(({ mib }) => mib)))} MiB`)
  if (end / settled > MOST) throw new Error(`more than ${MOST} times as much`)
  if (Object.keys(statuses).some(status => Number(status) >= 500)) throw new Error('not every request was answered')
} finally {
  await gatehouse?.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
