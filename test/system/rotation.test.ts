import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { runServer, type ServerProcess } from '../support/process.ts'
import { until } from '../support/wait.ts'

// Keys that change while the service, and one behind it, answer.

const SERVICE = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1', PORT: '0', HOST: '127.0.0.1', SIGNUP_ROLES: 'user,moderator,admin' }

async function request (url: string, { token, body, method }: { token?: string, body?: object, method?: string } = {}) {
  const reply = await fetch(url, {
    method: method ?? (body ? 'POST' : 'GET'),
    headers: { ...token && { authorization: `Bearer ${token}` }, ...body && { 'content-type': 'application/json' } },
    ...body && { body: JSON.stringify(body) }
  })
  const text = await reply.text()
  const isJson = reply.headers.get('content-type')?.startsWith('application/json')
  return { status: reply.status, headers: reply.headers, body: isJson ? JSON.parse(text) : text }
}

async function signIn (address: string, username: string, roles = ['user']) {
  const password = 'correct horse'
  await request(`${address}/api/auth/signup`, { body: { username, email: `${username}@example.com`, password, roles } })
  const { body } = await request(`${address}/api/auth/signin`, { body: { username, password } })
  return body as { id: number, accessToken: string, refreshToken: string }
}

const kidOf = (token: string): unknown => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid

const resourceServer = (t: Test, cwd: string, gatehouse: string): ServerProcess => runServer(t, {
  cwd, script: 'examples/resource-server/server.js', env: { GATEHOUSE: gatehouse, JWKS_MAX_AGE: '1', PORT: '0', HOST: '127.0.0.1' }
})

test('a key is added, promoted and removed under load, and no token fails', async t => {
  const cwd = await createFolder(t)
  const file = join(cwd, 'keys.json')
  const [old = ''] = addKey(file, 'EdDSA').map(({ kid }) => kid)
  const life = 6
  const server = runServer(t, {
    cwd,
    env: { ...SERVICE, DATABASE_URL: await createDatabase(t), REFRESH_SECRET: SECRET, JWT_KEYS_FILE: 'keys.json', WORKERS: '2', ACCESS_TOKEN_TTL: String(life) }
  })
  const gatehouse = await server.address()
  const reads = () => server.logs().filter(({ msg }) => msg.startsWith('read the keys of')).length
  await until('both workers', () => reads() === 2)
  const shop = resourceServer(t, cwd, gatehouse)
  const orders = `${await shop.address()}/orders`

  /** Tells the service, and waits until both workers have read the file. */
  const hangUp = async () => {
    const goal = reads() + 2
    server.child.kill('SIGHUP')
    await until('both workers to read their keys', () => reads() >= goal)
  }

  const load = { on: true }
  const seen = new Map<unknown, number>()
  const failures: unknown[] = []
  const client = async (name: string) => {
    const { id, accessToken, refreshToken } = await signIn(gatehouse, name)
    const session = { token: accessToken, since: Date.now() }
    const expect = async (what: string, url: string, expected: unknown) => {
      const { status, body } = await request(url, { token: session.token })
      if (status !== 200 || JSON.stringify(body) !== JSON.stringify(expected)) failures.push({ what, status, body, kid: kidOf(session.token) })
      seen.set(kidOf(session.token), (seen.get(kidOf(session.token)) ?? 0) + 1)
    }
    while (load.on) {
      if (Date.now() - session.since > 1000) {
        const { status, body } = await request(`${gatehouse}/api/auth/refreshtoken`, { body: { refreshToken } })
        if (status !== 200) failures.push({ what: 'refresh', status, body })
        Object.assign(session, { token: body.accessToken, since: Date.now() })
      }
      await expect('gatehouse', `${gatehouse}/api/test/user`, 'User Content.')
      await expect('resource server', orders, { message: `The orders of user ${id}.` })
      await sleep(5)
    }
  }
  const running = Promise.all(['ann', 'bob', 'cid', 'dee'].map(client))
  await until('load', () => (seen.get(old) ?? 0) > 50)
  const first = await signIn(gatehouse, 'eve')

  const [, next = ''] = addKey(file, 'ES256').map(({ kid }) => kid)
  await hangUp()
  await sleep(1500)
  t.strictSame([...seen.keys()], [old], 'a new key signs nothing yet, and every cache has it by now')

  promoteKey(file, next)
  await hangUp()
  t.equal(kidOf((await signIn(gatehouse, 'fay')).accessToken), next)

  const good = await readFile(file, 'utf8')
  writeFileSync(file, good.slice(0, 100))
  server.child.kill('SIGHUP')
  const refused = () => server.logs().filter(({ level, msg }) => level === 50 && msg.startsWith('JWT_KEYS_FILE was read again and refused')).length
  await until('both workers to refuse the file', () => refused() === 2)
  writeFileSync(file, good)

  await sleep(life * 1000 + 500)
  removeKey(file, old)
  await hangUp()
  const goal = (seen.get(next) ?? 0) + 100
  await until('load on the new key alone', () => (seen.get(next) ?? 0) > goal)
  load.on = false
  await running

  t.strictSame(failures, [])
  t.strictSame([...seen.keys()], [old, next])
  t.comment(`verified: ${[...seen.values()].join(' and ')}`)
  t.equal((await request(`${gatehouse}/api/test/user`, { token: first.accessToken })).body.code, 'ACCESS_TOKEN_INVALID')
  t.equal((await request(`${gatehouse}/api/auth/refreshtoken`, { body: { refreshToken: first.refreshToken } })).status, 200, 'nobody is signed out')
  server.child.kill('SIGTERM')
  t.equal(await server.ended, 0)
  t.equal(server.stderr(), '')
})

test('a service behind it verifies by the published keys and guards by role', async t => {
  const cwd = await createFolder(t)
  const [key, other] = ['keys.json', 'other.json'].map(name => join(cwd, name))
  addKey(String(key), 'EdDSA')
  addKey(String(other), 'EdDSA')
  const url = await createDatabase(t)
  const start = (keys: string, env = {}) => runServer(t, { cwd, env: { ...SERVICE, DATABASE_URL: url, JWT_SECRET: SECRET, JWT_KEYS_FILE: keys, ...env } })
  const server = start('keys.json')
  const gatehouse = await server.address()
  const shop = resourceServer(t, cwd, gatehouse)
  const address = await shop.address()
  const visit = async (path: string, token?: string, method = 'GET') => {
    const { status, body, headers } = await request(`${address}${path}`, { method, ...token !== undefined && { token } })
    return [status, body.message, ...headers.has('www-authenticate') ? [headers.get('www-authenticate')] : []]
  }
  const user = await signIn(gatehouse, 'ursula')
  const moderator = await signIn(gatehouse, 'moritz', ['moderator'])
  const admin = await signIn(gatehouse, 'ada', ['admin'])
  const orders = `The orders of user ${user.id}.`
  const bad = [401, 'The access token is not good.', 'Bearer']

  await t.test('by role', async t => {
    t.strictSame(await visit('/'), [200, 'The catalogue is open to all.'])
    t.strictSame(await visit('/orders'), [401, 'Send an access token: authorization: Bearer …', 'Bearer'])
    t.strictSame(await visit('/orders', user.accessToken), [200, orders])
    t.strictSame(await visit('/stock', user.accessToken), [403, 'This takes the role moderator or admin.'])
    t.strictSame(await visit('/stock', moderator.accessToken), [200, 'What is left.'])
    t.strictSame(await visit('/stock', admin.accessToken), [200, 'What is left.'])
    t.strictSame(await visit('/orders/7', moderator.accessToken, 'DELETE'), [403, 'This takes the role admin.'])
    t.strictSame(await visit('/orders/7', admin.accessToken, 'DELETE'), [200, 'Order 7 is gone.'])
    t.strictSame(await visit('/orders/7'), [404, 'Route GET:/orders/7 not found'])
  })

  await t.test('only good tokens of this gatehouse', async t => {
    const [header, payload, signature] = user.accessToken.split('.')
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString())
    const root = Buffer.from(JSON.stringify({ ...claims, roles: ['admin'] })).toString('base64url')
    const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')
    for (const forged of [`${header}.${root}.${signature}`, `${none}.${root}.`, 'x', user.refreshToken]) t.strictSame(await visit('/orders', forged), bad)

    const stranger = await start('other.json').address()
    t.strictSame(await visit('/orders', (await signIn(stranger, 'ursula')).accessToken), bad, 'another key')
    const elsewhere = await start('keys.json', { JWT_AUDIENCE: 'another', ACCESS_TOKEN_TTL: '1' }).address()
    t.strictSame(await visit('/orders', (await signIn(elsewhere, 'ursula')).accessToken), bad, 'another audience')
    const brief = await start('keys.json', { ACCESS_TOKEN_TTL: '1' }).address()
    const { accessToken } = await signIn(brief, 'ursula')
    await sleep(2000)
    t.strictSame(await visit('/orders', accessToken), [401, 'The access token has expired.', 'Bearer'])
  })

  await t.test('while it has the keys; without them it is its own fault, not the token\'s', async t => {
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    await until('the keys to be forgotten', async () => (await visit('/orders', user.accessToken))[0] === 503)
    t.strictSame(await visit('/orders', user.accessToken), [503, 'Access tokens cannot be checked now. Please try again.'])
    t.strictSame(await visit('/'), [200, 'The catalogue is open to all.'])
  })
})

test('the example takes the packages that are tested here', async t => {
  const read = async (folder: string) => JSON.parse(await readFile(join(import.meta.dirname, '..', folder, 'package.json'), 'utf8'))
  const { dependencies, devDependencies } = await read('.')
  const example = await read('examples/resource-server')
  for (const [name, range] of Object.entries(example.dependencies)) t.equal({ ...dependencies, ...devDependencies }[name], range, name)
})
