import { appendFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { EmbeddedPostgres } from '../../src/process/embedded-postgres.ts'
import { sql } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'

const PASSWORD = 'only-on-this-machine'

async function freePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })
  return port
}

test('starts without data, then with its data, also after a crash', async t => {
  const folder = await createFolder(t)
  const data = join(folder, 'postgres')
  const postgres = await EmbeddedPostgres.at(data, PASSWORD)
  t.equal(await postgres.isRunning(), false)
  t.equal(postgres.hasProcess(), false)

  await t.test('a partial data folder of an earlier start is replaced', async t => {
    await mkdir(`${data}.draft`)
    await writeFile(join(`${data}.draft`, 'PG_VERSION'), '18\n')
    await postgres.start({ conf: ['work_mem = \'5MB\''] })
    t.equal(await postgres.isRunning(), true)
    t.strictSame(await readdir(folder), ['postgres'])
    t.strictSame(await sql(postgres.url(), 'SHOW work_mem'), [{ work_mem: '5MB' }])
    t.strictSame(await sql(postgres.url(), 'SHOW server_encoding'), [{ server_encoding: 'UTF8' }])
  })

  await t.test('only this machine can connect, and only with the password', async t => {
    t.strictSame(await sql(postgres.url(), 'SHOW listen_addresses'), [{ listen_addresses: '127.0.0.1' }])
    t.strictSame(await sql(postgres.url(), 'SHOW unix_socket_directories'), [{ unix_socket_directories: '' }])
    t.equal((await stat(data)).mode & 0o777, 0o700)
    const url = new URL(postgres.url())
    url.password = 'another'
    await t.rejects(sql(url.href, 'SELECT 1'), { message: 'password authentication failed for user "postgres"' })
  })

  await sql(postgres.url(), 'CREATE TABLE kept AS SELECT 1 AS n')
  await postgres.stop()
  t.equal(await postgres.isRunning(), false)

  await t.test('on a given port', async t => {
    const port = await freePort()
    await postgres.start({ port })
    t.equal(postgres.url('postgres'), `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`)
    t.strictSame(await sql(postgres.url(), 'SELECT n FROM kept'), [{ n: 1 }])
  })

  await t.test('another instance finds it running and can stop it', async t => {
    await sql(postgres.url(), 'INSERT INTO kept VALUES (2)')
    const later = await EmbeddedPostgres.at(data, PASSWORD)
    t.equal(await later.isRunning(), true)
    t.equal(later.url(), postgres.url())
    await later.stop('immediate')
    t.equal(await postgres.isRunning(), false)
    await later.start()
    t.strictSame(await sql(later.url(), 'SELECT n FROM kept'), [{ n: 1 }, { n: 2 }])
    await later.stop()
  })

  await t.test('the output of pg_ctl explains a start and a stop that fail', async t => {
    await t.rejects(postgres.stop(), { message: /^pg_ctl failed: [^]*PID file .* does not exist/ })
    await appendFile(join(data, 'postgresql.conf'), 'nonsense = on\n')
    await t.rejects(postgres.start(), { message: /^pg_ctl failed: [^]*server\.log[^]*could not start server/ })
    t.match(await readFile(join(data, 'server.log'), 'utf8'), 'unrecognized configuration parameter "nonsense"')
  })
})

test('works where no other user may enter the folder', async t => {
  // As root this needs a capability for PostgreSQL's user; as a plain user it is a folder like any other.
  const locked = await createFolder(t, 0o700)
  const folder = join(locked, 'below')
  await mkdir(folder)
  for (const data of [join(locked, 'postgres'), join(folder, 'postgres')]) {
    const postgres = await EmbeddedPostgres.at(data, PASSWORD)
    await postgres.start()
    t.strictSame(await sql(postgres.url(), 'SELECT 1 AS n'), [{ n: 1 }])
    await postgres.stop()
    t.equal(await postgres.isRunning(), false)
  }
})

test('writes nowhere but into its folder, also where it is run by root', async t => {
  const locked = await createFolder(t, 0o700)
  // Only root may write here. The PostgreSQL of a plain user may not, and neither may the one of root.
  const target = await createFolder(t, 0o500)
  const postgres = await EmbeddedPostgres.at(join(locked, 'postgres'), PASSWORD)
  await postgres.start()
  await t.rejects(sql(postgres.url(), `COPY (SELECT 1) TO '${join(target, 'written')}'`), { message: /Permission denied/ })
  await postgres.stop()
  t.strictSame(await readdir(target), [])
})

test('the output of initdb explains a data folder that cannot be created, and no password is left in a file', async t => {
  const [folder, temporary] = [await createFolder(t), await createFolder(t)]
  const { TMPDIR } = process.env
  process.env['TMPDIR'] = temporary
  t.teardown(() => { process.env['TMPDIR'] = TMPDIR ?? '/tmp' })
  const postgres = await EmbeddedPostgres.at(join(folder, 'postgres'), '')
  await t.rejects(postgres.start(), { message: /^initdb failed: [^]*password file ".*" is empty/ })
  t.strictSame(await readdir(temporary), [])
  t.equal(await postgres.isRunning(), false)
})

test('only root runs it as another user', async t => {
  const folder = await createFolder(t)
  t.intercept(process, 'getuid', { value: () => 1000 })
  const postgres = await EmbeddedPostgres.at(join(folder, 'postgres'), '')
  // PostgreSQL itself refuses to run as root, which proves that it was not run as another user.
  await t.rejects(postgres.start(), { message: /^initdb failed: [^]*(cannot be run as root|password file ".*" is empty)/ })
})

test('an optional dependency that is not installed for the platform is an error that says so', async t => {
  const message = (name: string) => `The embedded PostgreSQL is not installed (@embedded-postgres/${name}, an optional ` +
    'dependency). Set DATABASE_URL to use a PostgreSQL of your own, or install the optional dependencies.'
  t.intercept(process, 'arch', { value: 'pdp11' })
  await t.rejects(EmbeddedPostgres.at('/nowhere', ''), { message: message(`${process.platform}-pdp11`) })
  t.intercept(process, 'platform', { value: 'win32' })
  await t.rejects(EmbeddedPostgres.at('/nowhere', ''), { message: message('windows-pdp11') })
})
