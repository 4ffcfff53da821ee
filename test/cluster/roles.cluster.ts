import { join } from 'node:path'
import pg from 'pg'
import { test } from 'tap'
import { listens, PASSWORD, POSTGRES_BIN, ROOT, run, start, startInstance, startPostgres, walk } from './machine.ts'

test('a role owns the tables, and the service has another', async t => {
  const { port, folder } = await startPostgres(t)
  const url = (role: string) => `postgres://${role}:${PASSWORD}@127.0.0.1:${port}/postgres`
  await run([`${POSTGRES_BIN}/psql`, '-v', `owner_password=${PASSWORD}`, '-v', `service_password=${PASSWORD}`,
    '-f', join(ROOT, 'deploy', 'roles.sql'), url('postgres')])
  const DATABASE_URL = url('gatehouse_service')

  await t.test('the service does not start before the migrations, and says what to do', async t => {
    const early = await startInstance(t, folder, 'early', { DATABASE_URL })
    t.equal(await early.ended, 1)
    t.match(early.output(), 'The database needs migrations, which the role of DATABASE_URL may not apply. ' +
      'Run `npm run migrate` with the role that owns the tables. permission denied for schema public')
  })

  await t.test('`migrate` applies them, and the second time finds nothing to do', async t => {
    const migrate = async (name: string) => {
      const command = ['node', join(ROOT, 'dist', 'src', 'server.js'), 'migrate']
      const started = start(t, name, command, { folder, root: true, env: { DATABASE_URL: url('gatehouse_owner') } })
      t.equal(await started.ended, 0)
      return started.output()
    }
    t.match(await migrate('first'), /^Applied: users-and-sessions, /)
    t.equal(await migrate('second'), 'The database is up to date.\n')
  })

  await t.test('the service runs, and its role cannot remove the audit log', async t => {
    const instance = await startInstance(t, folder, 'service', { DATABASE_URL })
    await listens(instance)
    await walk(t, instance.url, 'alice')
    const service = new pg.Client(DATABASE_URL)
    await service.connect()
    for (const attempt of [
      'DROP TRIGGER retain_recent ON audit_events', 'DROP TRIGGER append_only ON audit_events',
      'ALTER TABLE audit_events DISABLE TRIGGER ALL', 'SET session_replication_role = replica', 'DROP TABLE audit_events',
      'TRUNCATE audit_events', 'DELETE FROM audit_events', 'UPDATE audit_events SET event = \'nothing\'',
      'CREATE TABLE trap ()', 'CREATE OR REPLACE FUNCTION reject_change() RETURNS trigger LANGUAGE sql AS \'\''
    ]) await t.rejects(service.query(attempt), { code: '42501' }, attempt)
    t.equal((await service.query('SELECT FROM audit_events')).rowCount, 1)
    await service.end()
    instance.kill('SIGTERM')
    t.equal(await instance.ended, 0)
    t.notMatch(instance.output(), /"level":[56]0/, 'no error is logged')
  })
})
