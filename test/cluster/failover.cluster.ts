import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { test, type Test } from 'tap'
import { until } from '../support/wait.ts'
import {
  createFolder, deployed, freePort, type Instance, killPostgres, listens, POSTGRES_BIN, send, signIn, start,
  startInstance, type Started, writeFor
} from './machine.ts'
import { Load } from './load.ts'

// Three instances behind HAProxy, over a primary and a synchronous standby managed by Patroni. They use the files of
// deploy/, with other addresses, passwords and paths. Each machine is an address of the loopback network.

const BAR_SECONDS = 15
const SUPERUSER = 'superuser-of-this-test'

const network = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.`

interface Ports {
  service: string
  postgres: string
  patroni: string
  etcd: string
}

async function startPatroni (t: Test, folder: string, ports: Ports, node: 1 | 2): Promise<Started> {
  const name = `postgres${node}`
  const address = `${network}2${node}`
  const conf = await deployed('patroni.yml', [
    ['name: postgres1', `name: ${name}`],
    ['10.0.0.0/24', '127.0.0.0/8'],
    ['10.0.0.21:8008', `${address}:${ports.patroni}`],
    ['10.0.0.21:5432', `${address}:${ports.postgres}`],
    ['10.0.0.31:2379', `${network}31:${ports.etcd}`],
    ['/var/lib/postgresql/gatehouse', join(folder, name)],
    ['/var/lib/postgresql/.pgpass-gatehouse', join(folder, `${name}.pgpass`)],
    // Both nodes have the same port, and so would have the same socket file.
    ['unix_socket_directories: /var/run/postgresql', 'unix_socket_directories: \'\''],
    ['/usr/lib/postgresql/15/bin', POSTGRES_BIN],
    ['change-me-superuser', SUPERUSER]
  ])
  const file = await writeFor(join(folder, `${name}.yml`), conf)
  t.teardown(async () => await killPostgres(join(folder, name)))
  return start(t, `patroni${node}`, ['patroni', file], { folder })
}

async function startEtcd (t: Test, folder: string, ports: Ports): Promise<void> {
  const [client, peer] = [`http://${network}31:${ports.etcd}`, `http://${network}31:${await freePort()}`]
  const etcd = start(t, 'etcd', ['etcd', '--data-dir', join(folder, 'etcd'),
    '--listen-client-urls', client, '--advertise-client-urls', client,
    '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`], { folder })
  await until('etcd', async () => {
    if (etcd.end() !== undefined) throw new Error(`etcd ended: ${etcd.output()}`)
    return (await fetch(`${client}/health`).catch(() => undefined))?.ok
  })
}

async function startHaproxy (t: Test, folder: string, ports: Ports): Promise<void> {
  const conf = await deployed('haproxy.cfg', [
    ['bind :8080', `bind ${network}1:${ports.service}`],
    ['bind 10.0.0.1:5432', `bind ${network}1:${ports.postgres}`],
    [':8080', `:${ports.service}`],
    [/:5432$/gm, `:${ports.postgres}`],
    ['port 8008', `port ${ports.patroni}`],
    ['10.0.0.', network]
  ])
  const haproxy = start(t, 'haproxy', ['haproxy', '-f', await writeFor(join(folder, 'haproxy.cfg'), conf)], { folder })
  await sleep(300)
  if (haproxy.end() !== undefined) throw new Error(haproxy.output())
}

/** Runs a statement on a node as its superuser. */
async function ask (host: string, port: string, text: string, database = 'postgres'): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({
    host, port: Number(port), user: 'postgres', password: SUPERUSER, database, connectionTimeoutMillis: 2000
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

test('the primary is killed under load, and nothing that was acknowledged is lost', async t => {
  const folder = await createFolder(t)
  const port = async () => String(await freePort())
  const ports: Ports = { service: await port(), postgres: await port(), patroni: await port(), etcd: await port() }
  await startEtcd(t, folder, ports)
  const first = await startPatroni(t, folder, ports, 1)
  await startHaproxy(t, folder, ports)
  const database = `${network}1`
  const askPrimary = async (text: string) => await ask(database, ports.postgres, text).catch(() => [])
  await until('a primary', async () => (await askPrimary('SELECT 1')).length > 0, 60_000)
  t.strictSame(await askPrimary('SHOW fsync'), [{ fsync: 'on' }], 'commits are flushed to the disk, as in production')
  await askPrimary('CREATE DATABASE gatehouse')

  const instances = await Promise.all([11, 12, 13].map(async (machine): Promise<Instance> =>
    await startInstance(t, folder, `gatehouse${machine}`, {
      HOST: `${network}${machine}`,
      PORT: ports.service,
      TRUST_PROXY: 'loopback',
      DATABASE_URL: `postgres://postgres:${SUPERUSER}@${database}:${ports.postgres}/gatehouse`
    })))
  const second = await startPatroni(t, folder, ports, 2)
  await Promise.all(instances.map(listens))
  const hasSyncStandby = async () =>
    (await askPrimary('SELECT FROM pg_stat_replication WHERE sync_state = \'sync\'')).length === 1
  await until('a synchronous standby', hasSyncStandby, 60_000)
  const url = `http://${network}1:${ports.service}`
  await until('HAProxy to see the instances', async () => (await send(url, 'test/all')).status === 200)

  const load = new Load(url, 50)
  load.begin()
  await sleep(8000)
  t.strictSame(load.failedSince(0), [], 'before, the status of every response is 200')

  const killed = Date.now()
  first.kill('SIGKILL')
  await killPostgres(join(folder, 'postgres1'))
  await until('writes', () => load.writesSince(killed) > 20, 40_000)
  await sleep(8000)
  await load.finish()

  const failed = load.failedSince(killed)
  const away = (Math.max(killed, ...failed.map(request => request.began)) - killed) / 1000
  t.comment(`${load.total()} requests at 50/s: ${load.summary()}`)
  const firstWrite = (load.firstWriteSince(killed) - killed) / 1000
  t.comment(`first write ${firstWrite} s after the end of the primary, last failed request sent ${away} s after it`)
  t.ok(away < BAR_SECONDS, `after ${BAR_SECONDS} s the status of every response is 200 again`)
  t.strictSame(load.statuses().filter(status => status !== 200 && status !== 503), [], 'no status but 200 and 503')
  t.strictSame(failed.filter(request => request.code === undefined), [], 'each 503 comes from the service')
  t.strictSame(failed.filter(request => request.path === 'test/all'), [], 'requests that need no database succeed all the time')

  const { names, chains } = load.acknowledged()
  t.comment(`${names.length} sign-ups and ${chains.length} sessions were acknowledged`)
  t.ok(names.length > 50)
  const lost: string[] = []
  for (const name of names) if ((await signIn(url, name)).status !== 200) lost.push(name)
  t.strictSame(lost, [], 'every acknowledged sign-up can sign in')
  const ended = []
  for (const { refreshToken } of chains) {
    const response = await send(url, 'auth/refreshtoken', { body: { refreshToken } })
    if (response.status !== 200) ended.push(response)
  }
  t.strictSame(ended, [], 'no session is lost')
  t.strictSame(instances.map(instance => instance.end()), [undefined, undefined, undefined], 'no instance exited')

  await t.test('the old primary returns as the standby, and no request fails', async t => {
    const returned = Date.now()
    const again = new Load(url, 50)
    again.begin()
    const third = await startPatroni(t, folder, ports, 1)
    await until('a synchronous standby', hasSyncStandby, 60_000)
    await sleep(2000)
    await again.finish()
    t.comment(`${(Date.now() - returned) / 1000} s; ${again.summary()}`)
    t.strictSame(again.failedSince(0), [])
    t.strictSame([second.end(), third.end()], [undefined, undefined])
  })

  for (const instance of instances) instance.kill('SIGTERM')
  t.strictSame(await Promise.all(instances.map(async instance => await instance.ended)), [0, 0, 0], 'each exits with 0 on SIGTERM')
})
