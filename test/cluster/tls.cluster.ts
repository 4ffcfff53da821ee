import { join } from 'node:path'
import pg from 'pg'
import { test, type Test } from 'tap'
import { createFolder, give, listens, PASSWORD, run, startInstance, startPostgres, walk, writeFor } from './machine.ts'

/** Creates a certificate authority, and a certificate that it issued for a host name. */
async function createAuthority (t: Test, host: string) {
  const folder = await createFolder(t)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const sign = async (...args: string[]) => await run(['openssl', 'req', '-x509', ...key, '-days', '2', ...args], folder)
  await sign('-subj', '/CN=authority of this test', '-keyout', 'ca.key', '-out', 'ca.crt')
  await run(['openssl', 'req', ...key, '-subj', `/CN=${host}`, '-keyout', 'server.key', '-out', 'server.csr'], folder)
  await writeFor(join(folder, 'extensions'), `subjectAltName = DNS:${host}\n`)
  await run(['openssl', 'x509', '-req', '-in', 'server.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial',
    '-extfile', 'extensions', '-days', '2', '-out', 'server.crt'], folder)
  await give(join(folder, 'server.key'))
  return { ca: join(folder, 'ca.crt'), certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') }
}

test('TLS to the database with a verified certificate', async t => {
  const [ours, other] = [await createAuthority(t, 'localhost'), await createAuthority(t, 'localhost')]
  const { port, folder } = await startPostgres(t, {
    conf: ['ssl = on', `ssl_cert_file = '${ours.certificate}'`, `ssl_key_file = '${ours.key}'`],
    hba: 'hostssl all all 127.0.0.1/32 scram-sha-256'
  })
  const url = (host: string, query = '') => `postgres://postgres:${PASSWORD}@${host}:${port}/postgres${query}`
  const verify = (ca: string) => `?sslmode=verify-full&sslrootcert=${ca}`

  await t.test('a certificate of the host in the URL, issued by the authority in the URL: it starts', async t => {
    const instance = await startInstance(t, folder, 'right', { DATABASE_URL: url('localhost', verify(ours.ca)) })
    await listens(instance)
    await walk(t, instance.url, 'alice')
    const admin = new pg.Client(url('localhost', verify(ours.ca)))
    await admin.connect()
    const { rows } = await admin.query('SELECT DISTINCT ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE application_name = \'gatehouse\'')
    await admin.end()
    t.strictSame(rows, [{ ssl: true }], 'all of its connections are encrypted')
    instance.kill('SIGTERM')
    t.equal(await instance.ended, 0)
  })

  const refused: Array<[what: string, url: string, why: string | RegExp]> = [
    ['issued by another authority of the same name', url('localhost', verify(other.ca)), /unable to verify the first certificate|certificate signature failure/],
    ['issued by an authority that is not trusted', url('localhost', '?sslmode=verify-full'), 'unable to verify the first certificate'],
    ['a certificate of another host', url('127.0.0.1', verify(ours.ca)), 'does not match certificate\'s altnames'],
    ['without TLS', url('localhost'), 'no pg_hba.conf entry']
  ]
  for (const [index, [what, DATABASE_URL, why]] of refused.entries()) {
    await t.test(`${what}: the service does not start`, async t => {
      const instance = await startInstance(t, folder, `wrong${index}`, { DATABASE_URL, DATABASE_START_TIMEOUT: '0' })
      t.equal(await instance.ended, 1)
      t.match(instance.output(), why)
      t.notMatch(instance.output(), PASSWORD)
    })
  }
})
