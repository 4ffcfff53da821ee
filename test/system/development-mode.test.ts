import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { openDevelopmentDatabase } from '../../src/process/development-mode.ts'
import { sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'

/** The number of a process that lives until the test ends. */
async function livingProcess (t: Test): Promise<number> {
  const child = spawn('sleep', ['600'])
  t.teardown(() => child.kill())
  await once(child, 'spawn')
  return Number(child.pid)
}

/** The number of a process that has ended. */
async function deadProcess (): Promise<number> {
  const child = spawn('true')
  await once(child, 'exit')
  return Number(child.pid)
}

test('a folder holds the playground', async t => {
  const folder = join(await createFolder(t), 'not', 'yet', 'there')
  const first = await openDevelopmentDatabase(folder)
  const { DATABASE_URL, JWT_SECRET } = first.settings
  await sql(DATABASE_URL, 'CREATE TABLE kept AS SELECT 1 AS n')

  await t.test('its secret is 64 characters that only the owner can read', async t => {
    t.match(JWT_SECRET, /^[\w-]{64}$/)
    t.equal(await readFile(join(folder, 'secret'), 'utf8'), JWT_SECRET)
    t.equal((await stat(join(folder, 'secret'))).mode & 0o777, 0o600)
    t.notOk(DATABASE_URL.includes(JWT_SECRET))
  })

  await t.test('one process owns it at a time: another is told which', async t => {
    const owner = await livingProcess(t)
    await writeFile(join(folder, 'owner.pid'), String(owner))
    await t.rejects(openDevelopmentDatabase(folder), {
      message: `Process ${owner} uses ${folder}. Stop it, or set DATA_DIR to another folder.`
    })

    t.intercept(process, 'kill', { value: () => { throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' }) } })
    await t.rejects(openDevelopmentDatabase(folder), { message: /^Process \d+ uses / }, 'also one of another user\'s')
  })

  await t.test('a tool shares it with its owner and leaves it running', async t => {
    await writeFile(join(folder, 'owner.pid'), String(await livingProcess(t)))
    const shared = await openDevelopmentDatabase(folder, { share: true })
    t.strictSame(shared.settings, first.settings)
    await shared.close()
    t.strictSame(await sql(DATABASE_URL, 'SELECT n FROM kept'), [{ n: 1 }])
  })

  await t.test('what a killed owner left running is stopped, and its data used', async t => {
    for (const left of [String(await deadProcess()), '', 'nonsense', '0', '-1']) {
      const [before] = await sql<{ at: Date }>((await openDevelopmentDatabase(folder)).settings.DATABASE_URL, 'SELECT pg_postmaster_start_time() AS at')
      await writeFile(join(folder, 'owner.pid'), left)
      const next = await openDevelopmentDatabase(folder)
      const [after] = await sql<{ at: Date, n: number }>(next.settings.DATABASE_URL, 'SELECT pg_postmaster_start_time() AS at, n FROM kept')
      t.ok(Number(after?.at) > Number(before?.at), 'another PostgreSQL runs')
      t.equal(after?.n, 1)
      t.equal(next.settings.JWT_SECRET, JWT_SECRET, 'tokens outlive it')
      t.equal(await readFile(join(folder, 'owner.pid'), 'utf8'), String(process.pid))
      await next.close()
    }
  })

  await t.test('it closes without a trace of a running process, and opens again over its data', async t => {
    t.strictSame((await readdir(folder)).sort(), ['postgres', 'secret'])
    await t.rejects(sql(DATABASE_URL, 'SELECT 1'), { code: 'ECONNREFUSED' })
    const again = await openDevelopmentDatabase(folder)
    t.equal(again.settings.JWT_SECRET, JWT_SECRET)
    t.strictSame(await sql(again.settings.DATABASE_URL, 'SELECT n FROM kept'), [{ n: 1 }])
    await again.close()
  })
})

test('a secret that cannot be read is an error, never replaced by a new one', async t => {
  const folder = await createFolder(t)
  await mkdir(join(folder, 'secret'))
  await t.rejects(openDevelopmentDatabase(folder), { code: 'EISDIR' })
  t.strictSame(await readdir(folder), ['secret'])
})
