import { writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { test, type Test } from 'tap'
import { addKey, promoteKey, removeKey } from '../../src/tokens/key-file.ts'
import verify from '../../src/verify/index.ts'
import { createDatabase, SECRET, type SignedIn } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import * as http from '../support/http-client.ts'
import { CHEAP, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

// Keys that change while the service, and a resource server, answer requests.

const { kidOf, send } = http
const SERVICE = { ...CHEAP, SIGNUP_ROLES: 'user,moderator,admin' }

async function signIn (address: string, username: string, roles = ['user']) {
  await http.signUp(address, username, roles)
  return (await http.signIn(address, username)).body
}

/** Another server, for the tokens of a sign-in. test/api/resource-server.api.ts has the package as installed. */
async function resourceServer (t: Test, gatehouse: string): Promise<string> {
  const app = Fastify()
  await app.register(verify, { gatehouse, audience: 'gatehouse', maxAge: 1 })
  const config = { access: 'signed-in' } as const
  app.get('/orders', { config }, async ({ claims }) => ({ message: `The orders of user ${claims.id}.` }))
  t.teardown(async () => await app.close())
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

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
  const orders = `${await resourceServer(t, gatehouse)}/orders`

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
  t.strictSame(example.dependencies, { fastify: tested['fastify'], gatehouse: 'file:../..' })
})
