import { execFileSync } from 'node:child_process'
import { chown, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'
import { PASSWORD, signUpBody, sql, startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

// Faults outside: each request that needs the database is answered 503 within the deadline of docs/operations.md, and
// the service is itself again within 5 s after the fault is gone.

const CONNECT_TIMEOUT = 1
const QUERY_TIMEOUT = 1
const POOL = 5
/** DATABASE_CONNECT_TIMEOUT, DATABASE_QUERY_TIMEOUT and a second, in milliseconds. */
const DEADLINE = (CONNECT_TIMEOUT + QUERY_TIMEOUT + 1) * 1000

const unavailable = { message: 'The database is not available. Please try again.', code: 'DATABASE_UNAVAILABLE' }

test('faults of the database', async t => {
  const dir = join(await createFolder(t), 'postgres')
  const postgres = await EmbeddedPostgres.at(dir, 'secret')
  await postgres.start()
  t.teardown(async () => await postgres.stop('immediate'))
  const admin = await postgres.url()
  await sql(admin, 'CREATE ROLE app LOGIN PASSWORD \'secret\'')
  await sql(admin, 'CREATE DATABASE app OWNER app')
  const direct = (await postgres.url('app')).replace('postgres:secret', 'app:secret')
  const owner = await postgres.url('app')
  const proxy = await openProxy(t, direct)
  const service = await startApp(t, {
    DATABASE_URL: proxy.url, DATABASE_POOL_MAX: POOL, DATABASE_CONNECT_TIMEOUT: CONNECT_TIMEOUT, DATABASE_QUERY_TIMEOUT: QUERY_TIMEOUT, RATE_LIMIT_SIGNUP: 0
  })
  await service.signUp('ann')
  const ann = await service.signIn('ann')
  let made = 0

  const requests = {
    'sign-up': async () => await service.post('/api/auth/signup', signUpBody(`user${made++}`)),
    'sign-in': async () => await service.post('/api/auth/signin', { username: 'ann', password: PASSWORD }),
    refresh: async () => await service.post('/api/auth/refreshtoken', { refreshToken: ann.refreshToken }),
    me: async () => await service.get('/api/users/me', { 'x-access-token': ann.accessToken }),
    ready: async () => await service.get('/health/ready')
  }
  type Request = keyof typeof requests
  const all = Object.keys(requests) as Request[]

  const terminate = async () => await sql(owner, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = \'app\'')

  /** @param affected the requests that cannot be answered meanwhile; the others are */
  async function survives (title: string, { begin, end, affected = all }: { begin: () => Promise<unknown>, end: () => Promise<unknown>, affected?: Request[] }) {
    await t.test(title, async t => {
      await begin()
      for (const [name, send] of Object.entries(requests)) {
        const replies = await Promise.all(Array.from({ length: 2 * POOL }, async () => {
          const since = Date.now()
          const { status, headers, body } = await send()
          return { status, wait: headers['retry-after'], body, ms: Date.now() - since }
        }))
        for (const { status, wait, body, ms } of replies) {
          if (affected.includes(name as Request)) t.strictSame({ status, wait, body }, { status: 503, wait: '1', body: unavailable }, name)
          else t.equal(status, 200, name)
          t.ok(ms < DEADLINE, `${name} ${ms} ms`)
        }
      }
      t.equal((await service.get('/health/live')).status, 200)
      await end()
      const since = Date.now()
      for (const [name, send] of Object.entries(requests)) await until(name, async () => (await send()).status === 200, 10_000)
      t.ok(Date.now() - since < 5000, `again itself after ${Date.now() - since} ms`)
      t.ok(service.app.db.connections().total <= POOL)
      t.equal(service.app.db.connections().waiting, 0)
      const connections = async () => Number((await sql<{ count: string }>(owner, 'SELECT count(*) FROM pg_stat_activity WHERE usename = \'app\''))[0]?.count)
      await until('no more connections than the pool and the announcements have', async () => await connections() <= POOL + 1)
    })
  }

  await survives('a network that swallows everything', {
    begin: async () => proxy.freeze(),
    end: async () => proxy.thaw()
  })

  const signalAll = async (signal: NodeJS.Signals) => {
    const postmaster = Number((await readFile(join(dir, 'postmaster.pid'), 'utf8')).split('\n')[0])
    const children = (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)
    for (const pid of [postmaster, ...children]) process.kill(pid, signal)
  }
  await survives('a server that is frozen', {
    begin: async () => await signalAll('SIGSTOP'),
    end: async () => await signalAll('SIGCONT')
  })

  await survives('too many connections', {
    async begin () {
      await sql(admin, 'ALTER ROLE app CONNECTION LIMIT 0')
      await terminate()
    },
    end: async () => await sql(admin, 'ALTER ROLE app CONNECTION LIMIT -1')
  })

  await survives('a primary that only reads', {
    async begin () {
      await sql(admin, 'ALTER ROLE app SET default_transaction_read_only = on')
      await terminate()
    },
    async end () {
      await sql(admin, 'ALTER ROLE app RESET default_transaction_read_only')
      await terminate()
    },
    affected: ['sign-up', 'sign-in', 'refresh']
  })

  // Only root may mount a small disk; without one, a table that refuses with the same code.
  const disk = join(tmpdir(), `gatehouse-disk-${process.pid}`)
  const full = process.getuid?.() === 0
    ? {
        async begin () {
          await mkdir(disk)
          execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk])
          t.teardown(async () => {
            execFileSync('umount', ['-l', disk])
            await rm(disk, { recursive: true })
          })
          const { uid, gid } = await stat(join(dir, 'PG_VERSION'))
          await chown(disk, uid, gid)
          await sql(admin, `CREATE TABLESPACE small LOCATION '${disk}'`)
          for (const table of ['users', 'refresh_tokens', 'rate_limits']) await sql(owner, `ALTER TABLE ${table} SET TABLESPACE small`)
          await sql(owner, 'CREATE TABLE filler (text text) TABLESPACE small')
          await t.rejects(sql(owner, 'INSERT INTO filler SELECT repeat(md5(n::text), 100) FROM generate_series(1, 1000000) AS n'), { code: '53100' })
          // What room is left in the pages takes some yet.
          await until('the tables to be full', async () => (await requests['sign-up']()).status === 503)
        },
        async end () {
          await sql(owner, 'DROP TABLE filler')
        }
      }
    : {
        async begin () {
          await sql(owner, `CREATE FUNCTION full_disk () RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RAISE EXCEPTION ''could not extend file: No space left on device'' USING ERRCODE = ''53100''; END'`)
          await sql(owner, 'CREATE TRIGGER full_disk BEFORE INSERT ON users EXECUTE FUNCTION full_disk()')
        },
        async end () {
          await sql(owner, 'DROP TRIGGER full_disk ON users')
        }
      }
  await survives('a full disk', { ...full, affected: ['sign-up'] })

  t.strictSame(await sql(owner, 'SELECT username FROM users WHERE NOT EXISTS (SELECT FROM user_roles WHERE user_id = users.id)'), [], 'nothing is half-written')
})
