import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { v7 as uuidv7 } from 'uuid'
import { credentialsByUsername } from '../dist/sql/credentials.js'
import { migrate } from '../dist/sql/migrate.js'
import { rotateSession } from '../dist/sql/rotation.js'
import { liveSession } from '../dist/sql/sessions.js'
import { insertSession } from '../dist/sql/sign-in.js'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { median } from './report.js'

// npm run bench:growth [-- --sizes=1000,100000,1000000 --rotations=1000000]: the duration of the service's statements
// as the tables grow, and the size of the table after a million refreshes of the same thousand sessions. Every size has
// a database of its own. The databases are asked in turn, so that other load on the machine affects all of them alike.

const { values } = parseArgs({
  options: { sizes: { type: 'string', default: '1000,100000,1000000' }, rotations: { type: 'string', default: '1000000' } }
})
const sizes = values.sizes.split(',').map(Number)
const rotations = Number(values.rotations)
const SAMPLES = 4000
const WARM_UP = 500
const HASH = '$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
const RULES = { step: 0, grace: 10, idle: 0 }

const STATEMENTS = {
  'sign-in: look-up': ({ userId }) => credentialsByUsername(`user${userId}`, '127.0.0.1'),
  'sign-in: session': ({ userId, credentialId }) => insertSession({ userId, credentialId, version: 1 }, {
    sessionId: uuidv7(),
    ttl: 86400,
    ip: '127.0.0.1',
    network: '127.0.0.1',
    userAgent: null,
    maxSessions: 50
  }),
  refresh: row => rotateSession({ ...row, generation: 0 }, RULES),
  'session that is not cached': ({ userId, sessionId }) => liveSession(userId, sessionId, 0)
}

async function connect (url) {
  const client = new pg.Client({ connectionString: url })
  // The failing statement reports the error. Without a listener, the event would end the process first.
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Fills a database with users who have a role and a session each. Session ids ascend, as they do over time. */
async function grow (url, size) {
  await migrate(url)
  const client = await connect(url)
  await client.query(`INSERT INTO users (username, email)
    SELECT 'user' || n, 'user' || n || '@example.com' FROM generate_series(1, $1::int) AS n`, [size])
  await client.query(`INSERT INTO credentials (user_id, kind, data)
    SELECT id, 'password', jsonb_build_object('hash', $1::text) FROM users`, [HASH])
  await client.query('INSERT INTO user_roles (user_id, role_id) SELECT id, 1 FROM users ON CONFLICT DO NOTHING')
  await client.query(`INSERT INTO refresh_tokens (user_id, id, expires_at, ip)
    SELECT id, (lpad(to_hex(1760000000000 + id), 12, '0') || '7' || substr(md5(id::text), 1, 3) || '8' ||
      substr(md5(id::text), 4, 15))::uuid, now() + interval '1 day', '127.0.0.1' FROM users ORDER BY id`)
  await client.query('VACUUM ANALYZE')
  const { rows } = await client.query(`SELECT user_id::int AS "userId", refresh_tokens.id AS "sessionId",
      credentials.id AS "credentialId"
    FROM refresh_tokens JOIN credentials USING (user_id) ORDER BY random() LIMIT $1`, [SAMPLES])
  return { size, client, rows }
}

const send = (client, { name, text, values }) => client.query({ name, text, values })

async function timeStatements (databases) {
  const times = databases.map(() => Object.fromEntries(Object.keys(STATEMENTS).map(name => [name, []])))
  for (let i = 0; i < SAMPLES; i++) {
    for (const [name, statement] of Object.entries(STATEMENTS)) {
      for (const [index, { client, rows }] of databases.entries()) {
        const query = statement(rows[i % rows.length])
        const begin = performance.now()
        await send(client, query)
        if (i >= WARM_UP) times[index][name].push((performance.now() - begin) * 1000)
      }
    }
  }
  console.log('Median duration of each statement in microseconds, by number of users and sessions, and largest ÷ smallest:')
  console.table(Object.fromEntries(Object.keys(STATEMENTS).map(name => {
    const medians = times.map(of => median(of[name]))
    return [name, {
      ...Object.fromEntries(databases.map(({ size }, index) => [size, Math.round(medians[index])])),
      ratio: Number((medians.at(-1) / medians[0]).toFixed(3))
    }]
  })))
}

/** Refreshes by sixteen connections, each with sessions of its own, as sixteen busy instances would. */
async function rotate (url, client) {
  const CONNECTIONS = 16
  await client.query('VACUUM ANALYZE')
  const { rows: kept } = await client.query(
    'SELECT user_id::int AS "userId", id AS "sessionId" FROM refresh_tokens ORDER BY id LIMIT 1000')
  await client.query('SELECT pg_stat_reset()')
  const size = async () =>
    (await client.query('SELECT pg_total_relation_size(\'refresh_tokens\')::int AS bytes')).rows[0].bytes
  const before = await size()
  const begin = performance.now()
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, lane) => {
    const connection = await connect(url)
    const own = kept.filter((_, index) => index % CONNECTIONS === lane).map(row => ({ ...row, generation: 1 }))
    for (let i = 0; i < rotations / CONNECTIONS; i++) {
      const row = own[i % own.length]
      const { rowCount } = await send(connection, rotateSession(row, RULES))
      if (rowCount !== 1) throw new Error(`refresh ${row.generation} of ${row.sessionId} found no session`)
      row.generation++
    }
    await connection.end()
  }))
  const seconds = (performance.now() - begin) / 1000
  await client.query('SELECT pg_stat_clear_snapshot()')
  const { rows: [stat] } = await client.query(
    'SELECT n_tup_upd::int AS updates, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = \'refresh_tokens\'')
  const ratio = (stat.hot / stat.updates).toFixed(4)
  console.log(`${stat.updates} refreshes of 1000 sessions in ${Math.round(seconds)} s: HOT ratio ${ratio}, ` +
    `table and indexes ${Math.round(before / 1024)} KiB before, ${Math.round(await size() / 1024)} KiB after`)
}

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-growth-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start()
const databases = []
try {
  const url = postgres.url()
  const admin = await connect(url)
  const urlOf = size => Object.assign(new URL(url), { pathname: `/size_${size}` }).href
  for (const size of sizes) {
    await admin.query(`CREATE DATABASE size_${size}`)
    databases.push(await grow(urlOf(size), size))
  }
  await admin.query('CHECKPOINT')
  await admin.end()
  await timeStatements(databases)
  await rotate(urlOf(sizes[0]), databases[0].client)
} finally {
  for (const { client } of databases) await client.end().catch(() => {})
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
