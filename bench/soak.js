import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { startContestant } from './contestants.js'
import { send } from './load.js'
import { median } from './report.js'
import { PASSWORD } from './prepare.js'

// npm run bench:soak [-- --minutes=10]: repeated visits, each from a sign-up to a sign-out. The service must not take
// much more memory at the end than after three minutes.

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
/** Minutes after which the memory should no longer grow. */
const SETTLED = Math.min(3, minutes / 2)
const VISITORS = 24
const MAX_GROWTH = 1.15

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-soak-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
let gatehouse
try {
  gatehouse = await startContestant('gatehouse', postgres.url())
  const { origin } = gatehouse
  const begin = performance.now()
  const elapsed = () => (performance.now() - begin) / 60_000
  const statuses = {}
  let visits = 0

  const call = async (path, options) => {
    const { status, body } = await send(origin, path, options)
    statuses[status] = (statuses[status] ?? 0) + 1
    return status === 200 && body.startsWith('{') ? JSON.parse(body) : {}
  }

  async function visit () {
    const username = `visitor${visits++}`
    await call('/api/auth/signup', { body: { username, email: `${username}@example.com`, password: PASSWORD } })
    let { accessToken, refreshToken } = await call('/api/auth/signin', { body: { username, password: PASSWORD } })
    for (let i = 0; i < 5; i++) {
      for (const path of ['/api/test/all', '/api/test/user', '/api/test/user', '/api/users/me', '/no-such-route']) {
        await call(path, { token: accessToken })
        await sleep(10)
      }
      ({ accessToken, refreshToken } = await call('/api/auth/refreshtoken', { body: { refreshToken } }))
    }
    await call('/api/auth/signin', { body: { username, password: 'a wrong password' } })
    await call('/api/auth/signout', { body: { refreshToken } })
  }

  const samples = []
  const sample = setInterval(() => samples.push({ at: elapsed(), mib: gatehouse.memory() }), 2000)
  await Promise.all(Array.from({ length: VISITORS }, async () => { while (elapsed() < minutes) await visit() }))
  clearInterval(sample)

  /** The median of half a minute: a single sample depends on when garbage was last collected. */
  const around = minute =>
    median(samples.filter(({ at }) => Math.abs(at - minute) <= 0.25).map(({ mib }) => mib))
  const [settled, end] = [around(SETTLED), around(minutes - 0.25)]
  console.log(`${visits} visits in ${Math.round(elapsed())} minutes, responses by status: ${JSON.stringify(statuses)}`)
  const highest = Math.max(...samples.map(({ mib }) => mib))
  console.log(`${Math.round(settled)} MiB at minute ${SETTLED}, ${Math.round(end)} MiB at the end: ` +
    `${(end / settled).toFixed(3)} times as much, at most ${Math.round(highest)} MiB`)
  if (end / settled > MAX_GROWTH) throw new Error(`The memory grew to more than ${MAX_GROWTH} times.`)
  if (Object.keys(statuses).some(status => Number(status) >= 500)) throw new Error('Some requests failed with a status of 500 or above.')
} finally {
  await gatehouse?.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
