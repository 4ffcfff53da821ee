import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EmbeddedPostgres } from '../dist/src/process/embedded-postgres.js'
import { connect } from './databases.js'
import { fill } from './growth/fill.js'
import { toSvg, toTable } from './growth/report.js'
import { rotate } from './growth/rotate.js'
import { timeStatements, withSamples } from './growth/time.js'

// npm run bench:growth [-- --users=1e7 --rotations=1e6]: the duration of every statement as the tables grow, up to a
// number of users, and the size of the table of sessions after refreshes of the same thousand sessions. Every size has
// a database of its own. `--write` replaces docs/growth.json and docs/growth.svg.

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '1e6' },
    rotations: { type: 'string', default: '0' },
    write: { type: 'boolean', default: false }
  }
})
const most = Number(values.users)
const sizes = [...[1e3, 1e5, 1e6].filter(size => size < most), most]

// For loading data, but for the last two: the statements use the buffers, and a vacuum would disturb their times.
const CONF = ['wal_level = minimal', 'max_wal_senders = 0', 'max_wal_size = 8GB', 'checkpoint_timeout = 30min',
  'maintenance_work_mem = 1GB', 'shared_buffers = 1GB', 'autovacuum = off']

const dir = await mkdtemp(join(tmpdir(), 'gatehouse-growth-'))
const postgres = await EmbeddedPostgres.at(join(dir, 'postgres'), 'bench')
await postgres.start({ conf: CONF })
const databases = []
try {
  const admin = await connect(postgres.url())
  for (const size of sizes) {
    await admin.query(`CREATE DATABASE size_${size}`)
    const seconds = await fill(postgres.url(`size_${size}`), size)
    const { rows: [{ bytes }] } = await admin.query('SELECT pg_database_size($1) AS bytes', [`size_${size}`])
    console.log(`${size} users: ${Math.round(seconds)} s to fill, ${(bytes / 2 ** 30).toFixed(2)} GiB`)
  }
  await admin.query('CHECKPOINT')
  await admin.end()
  for (const size of sizes) databases.push(withSamples(await connect(postgres.url(`size_${size}`)), size))
  const run = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0].model.trim()}, Node ${process.version}`,
    sizes,
    results: await timeStatements(databases)
  }
  console.log(toTable(run))
  if (values.write) {
    const docs = new URL('../docs/', import.meta.url)
    await writeFile(new URL('growth.json', docs), `${JSON.stringify(run, null, 1)}\n`)
    await writeFile(new URL('growth.svg', docs), toSvg(run))
  }
  if (Number(values.rotations) > 0) await rotate(postgres.url(`size_${sizes[0]}`), Number(values.rotations))
} finally {
  for (const { client } of databases) await client.end().catch(() => {})
  await postgres.stop('immediate')
  await rm(dir, { recursive: true, force: true })
}
