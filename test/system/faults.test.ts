import { execFileSync } from 'node:child_process'
import { chown, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'
import { errorCode, property } from '../../src/unknown.ts'
import { PASSWORD, signUpBody, sql, startApp } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { openProxy } from '../support/proxy.ts'
import { until } from '../support/wait.ts'

// Faults of the database: each request that needs it is answered by 503 within the deadline of docs/operations.md, and
// the service recovers within 5 s of the end of the fault.

const CONNECT_TIMEOUT = 1
const QUERY_TIMEOUT = 1
const POOL = 5
/** Other load on the machine may double times. A request without a deadline would not end at all. */
const MARGIN = 2
/** DATABASE_CONNECT_TIMEOUT, DATABASE_QUERY_TIMEOUT and a second, in milliseconds. */
const DEADLINE = (CONNECT_TIMEOUT + QUERY_TIMEOUT + 1) * 1000 * MARGIN
const RECOVERY = 5000 * MARGIN

const busy = { message: 'Too many passwords are being verified. Please try again.', code: 'BUSY' }
const unavailable = { message: 'The database is unavailable. Please try again.', code: 'DATABASE_UNAVAILABLE' }

test('faults of the database', async t => {
  const dir = join(await createFolder(t), 'postgres')
  const postgres = await EmbeddedPostgres.at(dir, 'secret')
  await postgres.start()
  t.teardown(async () => await postgres.stop('immediate'))
  const admin = postgres.url()
  await sql(admin, 'CREATE ROLE app LOGIN PASSWORD \'secret\'')
  await sql(admin, 'CREATE DATABASE app OWNER app')
  const direct = postgres.url('app').replace('postgres:secret', 'app:secret')
  const owner = postgres.url('app')
  const proxy = await openProxy(t, direct)
  const service = await startApp(t, {
    DATABASE_URL: proxy.url,
    DATABASE_POOL_MAX: POOL,
    DATABASE_CONNECT_TIMEOUT: CONNECT_TIMEOUT,
    DATABASE_QUERY_TIMEOUT: QUERY_TIMEOUT,
    RATE_LIMIT_SIGNUP: 0
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

  const ofService = 'FROM pg_stat_activity WHERE usename = \'app\''
  const terminate = async () => await sql(owner, `SELECT pg_terminate_backend(pid) ${ofService}`)

  interface Fault {
    begin (): Promise<unknown>
    end (): Promise<unknown>
    /** the requests that fail meanwhile; the others succeed */
    affected?: Request[]
  }

  async function survives (title: string, { begin, end, affected = all }: Fault) {
    await t.test(title, async t => {
      await begin()
      for (const [name, send] of Object.entries(requests)) {
        const responses = await Promise.all(Array.from({ length: 2 * POOL }, async () => {
          const since = Date.now()
          const { status, headers, body } = await send()
          return { status, wait: headers['retry-after'], body, ms: Date.now() - since }
        }))
        for (const { status, wait, body, ms } of responses) {
          if (affected.includes(name as Request)) {
            // Of the sign-ins of one user, those that are queued behind the first four give up first.
            const expected = name === 'sign-in' && property(body, 'code') === 'BUSY' ? busy : unavailable
            t.strictSame({ status, wait, body }, { status: 503, wait: '1', body: expected }, name)
          } else t.equal(status, 200, name)
          t.ok(ms < DEADLINE, `${name} ${ms} ms`)
        }
      }
      t.equal((await service.get('/health/live')).status, 200)
      await end()
      const since = Date.now()
      for (const [name, send] of Object.entries(requests)) await until(name, async () => (await send()).status === 200)
      t.ok(Date.now() - since < RECOVERY, `recovered after ${Date.now() - since} ms`)
      t.ok(service.app.db.connections().total <= POOL)
      t.equal(service.app.db.connections().waiting, 0)
      const connections = async () => (await sql(owner, `SELECT ${ofService}`)).length
      await until('no more connections than those of the pool and one for invalidations', async () =>
        await connections() <= POOL + 1)
    })
  }

  await survives('a network that drops all packets', {
    begin: async () => proxy.freeze(),
    end: async () => proxy.thaw()
  })

  const signalAll = async (signal: NodeJS.Signals) => {
    const postmaster = Number((await readFile(join(dir, 'postmaster.pid'), 'utf8')).split('\n')[0])
    const children = (await readFile(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8')).split(' ').filter(Boolean).map(Number)
    for (const pid of [postmaster, ...children]) {
      try {
        process.kill(pid, signal)
      } catch (error) {
        // A process of the server may have ended since.
        if (errorCode(error) !== 'ESRCH') throw error
      }
    }
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

  // Only root may mount a small disk. Otherwise a trigger fails with the same code.
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
          for (const table of ['users', 'refresh_tokens', 'rate_limits']) {
            await sql(owner, `ALTER TABLE ${table} SET TABLESPACE small`)
          }
          await sql(owner, 'CREATE TABLE filler (text text) TABLESPACE small')
          const fill = 'INSERT INTO filler SELECT repeat(md5(n::text), 100) FROM generate_series(1, 1000000) AS n'
          await t.rejects(sql(owner, fill), { code: '53100' })
          // Pages that are not yet full take some more rows.
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

  const partial = 'SELECT username FROM users WHERE NOT EXISTS (SELECT FROM user_roles WHERE user_id = users.id)'
  t.strictSame(await sql(owner, partial), [], 'no user is partly written')
})
