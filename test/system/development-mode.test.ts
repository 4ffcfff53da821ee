import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { isStrongKey } from '../../src/config/key-strength.ts'
import { openDevelopmentDatabase } from '../../src/process/development-mode.ts'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'
import { sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { until } from '../support/wait.ts'

/** The id of a process that runs until the test ends. */
async function runningProcess (t: Test): Promise<number> {
  const child = spawn('sleep', ['600'])
  t.teardown(() => child.kill())
  await once(child, 'spawn')
  return Number(child.pid)
}

/** The id of a process that has exited. */
async function exitedProcess (): Promise<number> {
  const child = spawn('true')
  await once(child, 'exit')
  return Number(child.pid)
}

test('a folder holds the data of development mode', async t => {
  const folder = join(await createFolder(t), 'not', 'yet', 'there')
  const first = await openDevelopmentDatabase(folder)
  const { DATABASE_URL, JWT_SECRET, ENCRYPTION_KEYS } = first.settings
  await sql(DATABASE_URL, 'CREATE TABLE kept AS SELECT 1 AS n')

  await t.test('its secret is 64 characters that only the owner can read', async t => {
    t.match(JWT_SECRET, /^[\w-]{64}$/)
    t.equal(await readFile(join(folder, 'secret'), 'utf8'), JWT_SECRET)
    t.equal((await stat(join(folder, 'secret'))).mode & 0o777, 0o600)
    t.notOk(DATABASE_URL.includes(JWT_SECRET))
  })

  await t.test('its encryption key is derived from the secret, and valid', async t => {
    t.equal(ENCRYPTION_KEYS.length, 1)
    t.ok(ENCRYPTION_KEYS.every(isStrongKey))
  })

  await t.test('one process owns it at a time, and another learns which', async t => {
    const owner = await runningProcess(t)
    await writeFile(join(folder, 'owner.pid'), String(owner))
    await t.rejects(openDevelopmentDatabase(folder), {
      message: `Process ${owner} uses ${folder}. Stop it, or set DATA_DIR to another folder.`
    })

    t.intercept(process, 'kill', { value: () => { throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' }) } })
    await t.rejects(openDevelopmentDatabase(folder), { message: /^Process \d+ uses / }, 'also if that is a process of another user')
  })

  await t.test('a command shares it with its owner and leaves it running', async t => {
    await writeFile(join(folder, 'owner.pid'), String(await runningProcess(t)))
    const shared = await openDevelopmentDatabase(folder, { share: true })
    t.strictSame(shared.settings, first.settings)
    await shared.close()
    t.strictSame(await sql(DATABASE_URL, 'SELECT n FROM kept'), [{ n: 1 }])
  })

  await first.close()

  await t.test('closed, it has no trace of a running process', async t => {
    t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
    await t.rejects(sql(DATABASE_URL, 'SELECT 1'), { code: 'ECONNREFUSED' })
  })

  await t.test('a PostgreSQL that a killed owner left running is stopped, and its data is used', async t => {
    const startedAt = async (url: string) => {
      const [row] = await sql<{ at: Date }>(url, 'SELECT pg_postmaster_start_time() AS at FROM kept WHERE n = 1')
      return Number(row?.at)
    }
    const left = await EmbeddedPostgres.at(join(folder, 'postgres'), new URL(DATABASE_URL).password)
    for (const owner of [String(await exitedProcess()), '', 'nonsense', '0', '-1']) {
      await left.start()
      const before = await startedAt(left.url())
      await writeFile(join(folder, 'owner.pid'), owner)
      const next = await openDevelopmentDatabase(folder)
      t.ok(await startedAt(next.settings.DATABASE_URL) > before, `another PostgreSQL runs, with the same data: "${owner}"`)
      t.equal(next.settings.JWT_SECRET, JWT_SECRET, 'tokens stay valid')
      t.strictSame(next.settings.ENCRYPTION_KEYS, ENCRYPTION_KEYS, 'secrets stay readable')
      t.equal(await readFile(join(folder, 'owner.pid'), 'utf8'), String(process.pid))
      await next.close()
    }
  })
})

test('a PostgreSQL that is killed is restarted on the same port', async t => {
  const folder = await createFolder(t)
  const reports: string[] = []
  const { settings, close } = await openDevelopmentDatabase(folder, { onRestart: message => { reports.push(message) } })
  const postmaster = async () => Number((await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0])
  await sql(settings.DATABASE_URL, 'CREATE TABLE kept AS SELECT 1 AS n')

  await t.test('it keeps its data', async t => {
    process.kill(await postmaster(), 'SIGKILL')
    await until('the restart', () => reports.length > 0)
    t.strictSame(reports, ['The embedded PostgreSQL was killed and has been restarted.'])
    t.strictSame(await sql(settings.DATABASE_URL, 'SELECT n FROM kept'), [{ n: 1 }])
  })

  await t.test('a restart that fails is reported, and tried again', async t => {
    const conf = join(folder, 'postgres', 'postgresql.conf')
    const text = await readFile(conf, 'utf8')
    await writeFile(conf, `${text}nonsense = on\n`)
    process.kill(await postmaster(), 'SIGKILL')
    await until('a failure', () => reports.length > 1)
    t.match(reports[1], /^The embedded PostgreSQL was killed and cannot be restarted: pg_ctl failed: /)
    await writeFile(conf, text)
    await until('the restart', () => reports.at(-1) === reports[0])
    t.strictSame(await sql(settings.DATABASE_URL, 'SELECT n FROM kept'), [{ n: 1 }])
  })

  await close()
  t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
})

test('a secret that cannot be read is an error, and is not replaced', async t => {
  const folder = await createFolder(t)
  await mkdir(join(folder, 'secret'))
  await t.rejects(openDevelopmentDatabase(folder), { code: 'EISDIR' })
  t.strictSame(await readdir(folder), ['secret'])
})
