import { join } from 'node:path'
import pg from 'pg'
import { test } from 'tap'
import { until } from '../support/wait.ts'
import {
  createFolder, deployed, freePort, type Instance, listens, PASSWORD, run, send, signIn, signUpBody, start,
  startInstance, startPostgres, walk, writeFor
} from './machine.ts'

/** The first version that supports prepared statements in transaction mode. In earlier ones they fail. */
const SUPPORTS_PREPARED = 1.21

test('PgBouncer in transaction mode between the service and PostgreSQL', async t => {
  const version = Number(/PgBouncer (\d+\.\d+)/.exec(await run(['pgbouncer', '--version']))?.[1])
  const postgres = await startPostgres(t)
  const [folder, port] = [await createFolder(t), await freePort()]
  const users = await writeFor(join(folder, 'userlist.txt'), `"postgres" "${PASSWORD}"\n`)
  const conf = await deployed('pgbouncer.ini', [
    ['host=10.0.0.20 port=5432 dbname=gatehouse', `host=127.0.0.1 port=${postgres.port} dbname=postgres`],
    ['listen_addr = 0.0.0.0', 'listen_addr = 127.0.0.1'],
    ['listen_port = 6432', `listen_port = ${port}`],
    ['/etc/pgbouncer/userlist.txt', users],
    // Fewer than the connections of the service, so that these share them.
    ['default_pool_size = 20', 'default_pool_size = 2'],
    ...version >= SUPPORTS_PREPARED ? [['; max_prepared_statements', 'max_prepared_statements'] as [string, string]] : []
  ])
  const bouncer = start(t, 'pgbouncer', ['pgbouncer', await writeFor(join(folder, 'pgbouncer.ini'), conf)], { folder })
  await until('PgBouncer', () => bouncer.output().includes('process up'))
  const DATABASE_URL = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/gatehouse`

  const settings = version >= SUPPORTS_PREPARED ? ['off', 'on'] : ['off']
  t.comment(`PgBouncer ${version}: DATABASE_PREPARE=${settings.join(' and ')}`)
  for (const DATABASE_PREPARE of settings) {
    const instance = await startInstance(t, folder, `gatehouse-${DATABASE_PREPARE}`, { DATABASE_URL, DATABASE_PREPARE })
    await listens(instance)
    // Twenty at once, so that every statement uses both server connections.
    const names = Array.from({ length: 20 }, (_, index) => `${DATABASE_PREPARE}${index}x`)
    await Promise.all(names.map(async name => await walk(t, instance.url, name)))
    instance.kill('SIGTERM')
    t.equal(await instance.ended, 0)
    t.notMatch(instance.output(), '"level":50', 'no error is logged')
  }

  await t.test('without LISTEN_DATABASE_URL no instance trusts its cache: a sign-out reaches the other at once', async t => {
    const names = ['here', 'there'] as const
    const [here, there] = await Promise.all(names.map(async name =>
      await startInstance(t, folder, name, { DATABASE_URL, DATABASE_PREPARE: 'off' }))) as [Instance, Instance]
    for (const instance of [here, there]) await listens(instance)
    const accepted: number[] = []
    for (let round = 0; round < 10; round++) {
      const name = `revoked${round}`
      t.equal((await send(here.url, 'auth/signup', { body: signUpBody(name) })).status, 200)
      const { accessToken, refreshToken } = (await signIn(here.url, name)).body
      const token = String(accessToken)
      // Twice, so that a cache would have the session.
      for (const instance of [here, there, here, there]) {
        t.equal((await send(instance.url, 'test/user', { token })).status, 200)
      }
      t.equal((await send(here.url, 'auth/signout', { body: { refreshToken } })).status, 200)
      for (const instance of [here, there]) {
        if ((await send(instance.url, 'test/user', { token })).status !== 401) accepted.push(round)
      }
    }
    t.strictSame(accepted, [])
    for (const instance of [here, there]) {
      t.match(instance.output(), /invalidations lost.*LISTEN_DATABASE_URL/)
      instance.kill('SIGTERM')
      await instance.ended
    }
  })

  await t.test('a statement whose client has disconnected is cancelled in the database', async t => {
    const admin = new pg.Client({ host: '127.0.0.1', port: postgres.port, user: 'postgres', password: PASSWORD })
    await admin.connect()
    t.teardown(async () => await admin.end())
    await admin.query('ALTER SYSTEM SET client_connection_check_interval = \'200ms\'')
    await admin.query('SELECT pg_reload_conf()')
    const client = new pg.Client({ connectionString: DATABASE_URL, query_timeout: 500 })
    client.on('error', () => {})
    await client.connect()
    await t.rejects(client.query('SELECT pg_sleep(60)'), { message: 'Query read timeout' })
    client.connection.stream.destroy()
    await until('the statement to end', async () =>
      (await admin.query('SELECT FROM pg_stat_activity WHERE query LIKE \'SELECT pg_sleep%\' AND state = \'active\' AND pid <> pg_backend_pid()')).rowCount === 0, 10_000)
  })
})
