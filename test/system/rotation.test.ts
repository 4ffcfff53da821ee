import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import { createDatabase, SECRET, type SignedIn } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import * as http from '../support/http-client.ts'
import { CHEAP, runServer, type ServerProcess } from '../support/process.ts'
import { until } from '../support/wait.ts'

// Keys that change while the service, and a resource server, answer requests.

const { kidOf, send } = http
const SERVICE = { ...CHEAP, SIGNUP_ROLES: 'user,moderator,admin' }

async function signIn (address: string, username: string, roles = ['user']) {
  await http.signUp(address, username, roles)
  return (await http.signIn(address, username)).body
}

const resourceServer = (t: Test, cwd: string, gatehouse: string): ServerProcess => runServer(t, {
  cwd,
  script: 'examples/resource-server/server.js',
  // The tokens of a sign-in. test/api/resource-server.api.ts has those for an audience of its own.
  env: { GATEHOUSE: gatehouse, JWT_AUDIENCE: 'gatehouse', JWKS_MAX_AGE: '1', PORT: '0', HOST: '127.0.0.1' }
})

test('a key is added, promoted and removed under load, and no token fails', async t => {
  const cwd = await createFolder(t)
  const file = join(cwd, 'keys.json')
  const [old = ''] = addKey(file, 'EdDSA').map(({ kid }) => kid)
  const server = runServer(t, {
    cwd,
    env: {
      ...SERVICE,
      DATABASE_URL: await createDatabase(t),
      REFRESH_SECRET: SECRET,
      JWT_KEYS_FILE: 'keys.json',
      WORKERS: '2',
      ACCESS_TOKEN_TTL: '6'
    }
  })
  const gatehouse = await server.address()
  const loads = () => server.logs().filter(({ msg }) => msg.startsWith('loaded the keys of')).length
  await until('both workers', () => loads() === 2)
  const shop = resourceServer(t, cwd, gatehouse)
  const orders = `${await shop.address()}/orders`

  const reload = async () => {
    const goal = loads() + 2
    server.child.kill('SIGHUP')
    await until('both workers to load the keys', () => loads() >= goal)
  }

  const load = { on: true }
  /** The number of requests by the key of their token. */
  const seen = new Map<string, number>()
  const failures: unknown[] = []
  const client = async (name: string) => {
    const { id, accessToken, refreshToken } = await signIn(gatehouse, name)
    const session = { token: accessToken, since: Date.now() }
    const expect = async (url: string, expected: unknown) => {
      const { token } = session
      const { status, body } = await send<unknown>(url, { token })
      const isExpected = status === 200 && JSON.stringify(body) === JSON.stringify(expected)
      if (!isExpected) failures.push({ url, status, body, kid: kidOf(token) })
      seen.set(kidOf(token), (seen.get(kidOf(token)) ?? 0) + 1)
    }
    while (load.on) {
      if (Date.now() - session.since > 1000) {
        const since = Date.now()
        const { status, body } = await send<SignedIn>(`${gatehouse}/api/auth/refreshtoken`, { body: { refreshToken } })
        if (status !== 200) failures.push({ what: 'refresh', status, body })
        Object.assign(session, { token: body.accessToken, since })
      }
      await expect(`${gatehouse}/api/test/user`, 'User Content.')
      await expect(orders, { message: `The orders of user ${id}.` })
      await sleep(5)
    }
  }
  const running = Promise.all(['ann', 'bob', 'cid', 'dee'].map(client))
  await until('load', () => (seen.get(old) ?? 0) > 50)
  const first = await signIn(gatehouse, 'eve')

  const [, next = ''] = addKey(file, 'ES256').map(({ kid }) => kid)
  await reload()
  // Longer than the resource server caches keys.
  await sleep(1500)
  t.strictSame([...seen.keys()], [old], 'a new key signs nothing yet')

  const last = await signIn(gatehouse, 'gus')
  promoteKey(file, next)
  await reload()
  t.equal(kidOf((await signIn(gatehouse, 'fay')).accessToken), next)

  const good = await readFile(file, 'utf8')
  writeFileSync(file, good.slice(0, 100))
  server.child.kill('SIGHUP')
  const rejections = () => server.logs().filter(({ msg }) => msg.startsWith('JWT_KEYS_FILE was not reloaded')).length
  await until('both workers to reject the file', () => rejections() === 2)
  writeFileSync(file, good)

  await until('the tokens of the old key to expire', async () => {
    const { body } = await send(`${gatehouse}/api/test/user`, { token: last.accessToken })
    return body['code'] === 'ACCESS_TOKEN_EXPIRED'
  })
  removeKey(file, old)
  await reload()
  const goal = (seen.get(next) ?? 0) + 100
  await until('load on the new key alone', () => (seen.get(next) ?? 0) > goal)
  load.on = false
  await running

  t.strictSame(failures, [])
  t.strictSame([...seen.keys()], [old, next])
  t.comment(`verified: ${[...seen.values()].join(' and ')}`)
  const removed = await send(`${gatehouse}/api/test/user`, { token: first.accessToken })
  t.match(removed, { status: 401, body: { code: 'ACCESS_TOKEN_INVALID' } })
  const refreshed = await send(`${gatehouse}/api/auth/refreshtoken`, { body: { refreshToken: first.refreshToken } })
  t.equal(refreshed.status, 200, 'the session goes on')
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.equal(server.stderr(), '')
})

test('a resource server verifies tokens with the published keys, and guards its routes by role', async t => {
  const cwd = await createFolder(t)
  const [key, other] = ['keys.json', 'other.json'].map(name => join(cwd, name))
  addKey(String(key), 'EdDSA')
  addKey(String(other), 'EdDSA')
  const url = await createDatabase(t)
  const start = (keys: string, env = {}) => runServer(t, {
    cwd, env: { ...SERVICE, DATABASE_URL: url, JWT_SECRET: SECRET, JWT_KEYS_FILE: keys, ...env }
  })
  const server = start('keys.json')
  const gatehouse = await server.address()
  const shop = resourceServer(t, cwd, gatehouse)
  const address = await shop.address()
  const visit = async (path: string, token?: string, method = 'GET') => {
    const { status, body, headers } = await send(`${address}${path}`, { method, ...token !== undefined && { token } })
    return [status, body['message'], ...headers.has('www-authenticate') ? [headers.get('www-authenticate')] : []]
  }
  const user = await signIn(gatehouse, 'ursula')
  const moderator = await signIn(gatehouse, 'moritz', ['moderator'])
  const admin = await signIn(gatehouse, 'ada', ['admin'])
  const orders = `The orders of user ${user.id}.`
  const bad = [401, 'The access token is invalid.', 'Bearer']

  await t.test('each route takes the roles that it declares', async t => {
    t.strictSame(await visit('/'), [200, 'The public catalogue.'])
    t.strictSame(await visit('/orders'), [401, 'Send an access token: authorization: Bearer …', 'Bearer'])
    t.strictSame(await visit('/orders', user.accessToken), [200, orders])
    t.strictSame(await visit('/stock', user.accessToken), [403, 'Requires the role moderator or admin.'])
    t.strictSame(await visit('/stock', moderator.accessToken), [200, 'The items in stock.'])
    t.strictSame(await visit('/stock', admin.accessToken), [200, 'The items in stock.'])
    t.strictSame(await visit('/orders/7', moderator.accessToken, 'DELETE'), [403, 'Requires the role admin.'])
    t.strictSame(await visit('/orders/7', admin.accessToken, 'DELETE'), [200, 'Order 7 was deleted.'])
    t.strictSame(await visit('/orders/7'), [404, 'Route GET:/orders/7 not found'])
  })

  await t.test('only valid tokens of this gatehouse are accepted', async t => {
    const [header, payload, signature] = user.accessToken.split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString()) as Record<string, unknown>
    const root = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url')
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')
    for (const forged of [`${header}.${root}.${signature}`, `${none}.${root}.`, 'x', user.refreshToken]) {
      t.strictSame(await visit('/orders', forged), bad)
    }
    const [otherKeys, otherAudience, short] = await Promise.all([
      start('other.json'), start('keys.json', { JWT_AUDIENCE: 'another' }), start('keys.json', { ACCESS_TOKEN_TTL: '1' })
    ].map(async server => (await signIn(await server.address(), 'ursula')).accessToken))
    t.strictSame(await visit('/orders', otherKeys), bad, 'another key')
    t.strictSame(await visit('/orders', otherAudience), bad, 'another audience')
    const expired = [401, 'The access token has expired.', 'Bearer']
    await until('the token to expire', async () => (await visit('/orders', short))[1] === expired[1])
    t.strictSame(await visit('/orders', short), expired)
  })

  await t.test('without the keys it answers by 503, since the token may be valid', async t => {
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    await until('the cached keys to expire', async () => (await visit('/orders', user.accessToken))[0] === 503)
    t.strictSame(await visit('/orders', user.accessToken), [503, 'Access tokens cannot be verified now. Please try again.'])
    t.strictSame(await visit('/'), [200, 'The public catalogue.'])
  })
})

interface Package {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

test('the example depends on the versions that are tested here', async t => {
  const read = async (folder: string) =>
    JSON.parse(await readFile(join(import.meta.dirname, '..', '..', folder, 'package.json'), 'utf8')) as Package
  const { dependencies, devDependencies } = await read('.')
  const example = await read('examples/resource-server')
  const tested = { ...dependencies, ...devDependencies }
  for (const [name, range] of Object.entries(example.dependencies)) t.equal(tested[name], range, name)
})
