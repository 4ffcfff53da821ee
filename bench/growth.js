import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { EmbeddedPostgres } from '../dist/src/embedded-postgres.js'
import { authorityOf } from '../dist/sql/authority.js'
import { migrate } from '../dist/sql/migrate.js'
import { insertSession, rotateSession } from '../dist/sql/refresh-tokens.js'
import { credentialsByUsername } from '../dist/sql/users.js'
import { median } from './report.js'

// npm run bench:growth [-- --sizes=1000,100000,1000000 --rotations=1000000]: what the service's statements cost as
// the tables grow, and what a million refreshes of the same thousand sessions leave behind.

const { values } = parseArgs({
  options: { sizes: { type: 'string', default: '1000,100000,1000000' }, rotations: { type: 'string', default: '1000000' } }
})
const sizes = values.sizes.split(',').map(Number)
const rotations = Number(values.rotations)
const SAMPLES = 3000
const HASH = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const RULES = { step: 0, grace: 10, idle: 0 }

/** Users and one session each, from the last size up to this one. */
async function grow (client, from, to) {
  await client.query(`INSERT INTO users (username, email, password_hash)
    SELECT 'user' || n, 'user' || n || '@example.com', $1 FROM generate_series($2::int, $3::int) AS n`, [HASH, from + 1, to])
  await client.query('INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM users ON CONFLICT DO NOTHING')
  await client.query(`INSERT INTO refresh_tokens (user_id, id, expires_at, ip)
    SELECT id, gen_random_uuid(), now() + interval '1 day', '127.0.0.1' FROM users
    WHERE NOT EXISTS (SELECT FROM refresh_tokens WHERE user_id = users.id)`)
  await client.query('VACUUM ANALYZE')
}

/** The median time of a statement over users drawn at random, in microseconds. */
async function time (client, statements) {
  const times = []
  for (const { name, text, values } of statements) {
    const begin = performance.now()
    await client.query({ name, text, values })
    times.push((performance.now() - begin) * 1000)
  }
  return Math.round(median(times.slice(100)))
}

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-growth-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
const client = new pg.Client({ connectionString: await postgres.url() })
try {
  await migrate(await postgres.url())
  await client.connect()
  const table = {}
  for (const [index, size] of sizes.entries()) {
    await grow(client, sizes[index - 1] ?? 0, size)
    const { rows } = await client.query('SELECT user_id::int AS "userId", id AS "sessionId" FROM refresh_tokens ORDER BY random() LIMIT $1', [SAMPLES])
    table[size] = {
      'sign-in look-up': await time(client, rows.map(({ userId }) => credentialsByUsername(`user${userId}`))),
      'sign-in session': await time(client, rows.map(({ userId }) => insertSession({
        userId, passwordHash: HASH, sessionId: uuidv7(), ttl: 86400, ip: '127.0.0.1', userAgent: null, most: 50
      }))),
      refresh: await time(client, rows.map(row => rotateSession({ ...row, generation: 0 }, RULES))),
      'authority (a board not remembered)': await time(client, rows.map(({ userId, sessionId }) => authorityOf(userId, sessionId)))
    }
  }
  console.log('Median microseconds by users and sessions in the tables:')
  console.table(table)

  await client.query('VACUUM ANALYZE')
  await client.query('SELECT pg_stat_reset()')
  const { rows: kept } = await client.query('SELECT user_id::int AS "userId", id AS "sessionId" FROM refresh_tokens LIMIT 1000')
  const size = async () => (await client.query('SELECT pg_total_relation_size(\'refresh_tokens\')::int AS bytes')).rows[0].bytes
  const before = await size()
  for (let i = 0; i < rotations; i++) {
    const { name, text, values } = rotateSession({ ...kept[i % kept.length], generation: 1 + Math.floor(i / kept.length) }, RULES)
    await client.query({ name, text, values })
  }
  await client.query('SELECT pg_stat_force_next_flush()')
  await client.query('SELECT 1')
  const { rows: [stat] } = await client.query('SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'refresh_tokens\'')
  console.log(`${rotations} refreshes of 1000 sessions: HOT ratio ${(stat.hot / stat.updates).toFixed(4)}, ` +
    `table and indexes ${Math.round(before / 1024)} KiB before, ${Math.round(await size() / 1024)} KiB after`)
} finally {
  await client.end().catch(() => {})
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
