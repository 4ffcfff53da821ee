import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import autocannon from 'autocannon'
import { createSigner } from 'fast-jwt'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { startContestant } from './contestants.js'
import { connect } from './databases.js'
import { SECRET } from './service.js'

// npm run bench:tokens [-- --tokens=1000000]: one request to /api/test/user with each of many access tokens, each of a
// session and a user of its own. No cache helps, and none may grow without bound.

const { values } = parseArgs({ options: { tokens: { type: 'string', default: '1000000' } } })
const tokens = Number(values.tokens)
/** Memory of the second half relative to the first, at most. */
const MAX_GROWTH = 1.15

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-tokens-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
let gatehouse
try {
  const url = postgres.url()
  gatehouse = await startContestant('gatehouse', url)
  const client = await connect(url)
  await client.query(`INSERT INTO users (username, email)
    SELECT 'user' || n, 'user' || n || '@example.com' FROM generate_series(1, $1::int) AS n`, [tokens])
  await client.query('INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM users ON CONFLICT DO NOTHING')
  await client.query(`INSERT INTO refresh_tokens (user_id, id, expires_at, ip)
    SELECT id, lpad(to_hex(id), 32, '0')::uuid, now() + interval '1 day', '127.0.0.1' FROM users`)
  await client.query('VACUUM ANALYZE')
  await client.end()

  const sign = createSigner({
    key: SECRET, algorithm: 'HS256', header: { alg: 'HS256', typ: 'at+jwt' }, expiresIn: 86_400_000
  })
  const tokenOf = id => {
    const sid = id.toString(16).padStart(32, '0').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    return sign({ sub: String(id), id, sid, roles: ['user'], iss: 'gatehouse', aud: 'gatehouse' })
  }
  let presented = 0
  const highest = [0, 0]
  const idle = gatehouse.memory()
  const watch = setInterval(() => {
    const half = presented < tokens / 2 ? 0 : 1
    highest[half] = Math.max(highest[half], gatehouse.memory())
  }, 250)
  const { non2xx, errors, duration, requests } = await autocannon({
    url: `${gatehouse.origin}/api/test/user`,
    connections: 64,
    amount: tokens,
    requests: [{
      setupRequest: request => ({ ...request, headers: { 'x-access-token': tokenOf(1 + presented++ % tokens) } })
    }]
  })
  clearInterval(watch)
  console.log(`${requests.total} tokens of as many sessions in ${Math.round(duration)} s, ${non2xx + errors} rejected: ` +
    `${Math.round(idle)} MiB before, at most ${highest.map(Math.round).join(' and ')} MiB in the first and the second half, ` +
    `${Math.round(gatehouse.memory())} MiB after`)
  if (non2xx + errors > 0) throw new Error('gatehouse rejected valid tokens.')
  if (highest[1] > highest[0] * MAX_GROWTH) {
    throw new Error(`The second half took more than ${MAX_GROWTH} times as much memory as the first.`)
  }
} finally {
  await gatehouse?.stop()
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
