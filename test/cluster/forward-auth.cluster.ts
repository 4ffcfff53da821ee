import { once } from 'node:events'
import { Agent, createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import jwt from 'jsonwebtoken'
import pg from 'pg'
import { t as file, test, type Test } from 'tap'
import { until } from '../support/wait.ts'
import {
  createFolder, deployed, freePort, listens, PASSWORD, ROOT, send, signIn, signUpBody, start, startInstance,
  startPostgres, writeFor
} from './machine.ts'

/** The secret of `startInstance`. */
const SECRET = 'a secret of the cluster tests, at least 32 bytes'

/** What a request presents, and whose it is if it is good. */
interface Presented {
  title: string
  headers: Record<string, string>
  identity?: { 'x-user-id': string, 'x-user-name': string, 'x-user-roles': string, 'x-auth-method': string }
}

/** The headers that the API received, by the number of the request. */
const received = new Map<string, IncomingHttpHeaders>()

/** An API that knows nothing of tokens. */
async function startApi (t: Test): Promise<string> {
  const server = createServer((request, response) => {
    received.set(String(request.headers['x-number']), request.headers)
    request.resume().on('end', () => { response.end('hello') })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Tokens and keys of every state. */
async function presentations (url: string, database: string): Promise<Presented[]> {
  const psql = new pg.Client({ connectionString: database })
  await psql.connect()
  const join = async (username: string, roles: string[]) => {
    await send(url, 'auth/signup', { body: { ...signUpBody(username), roles } })
    const { body } = await signIn(url, username)
    const token = String(body['accessToken'])
    const create = async (given: object = {}) => (await send(url, 'keys', { token, body: { name: 'a key', ...given } })).body
    return { id: Number(body['id']), token, create, key: String((await create())['key']), refreshToken: String(body['refreshToken']) }
  }
  const ada = await join('ada', ['user', 'admin'])
  const bob = await join('bob', ['user'])
  const gone = await join('gone', ['user', 'admin'])
  await send(url, 'auth/signout', { body: { refreshToken: gone.refreshToken } })
  const disabled = await join('disabled', ['user', 'admin'])
  await psql.query('UPDATE users SET disabled_at = now() WHERE id = $1', [disabled.id])
  const deleted = await join('deleted', ['user', 'admin'])
  await psql.query('DELETE FROM users WHERE id = $1', [deleted.id])
  const [revoked, expiring] = [await ada.create(), await ada.create()]
  await psql.query('DELETE FROM api_keys WHERE id = $1', [revoked['id']])
  await psql.query('UPDATE api_keys SET created_at = now() - interval \'2 h\', expires_at = now() - interval \'1 h\' WHERE id = $1', [expiring['id']])
  await psql.end()
  const claims = jwt.decode(ada.token, { json: true }) ?? {}
  const sign = (changes: object, secret = SECRET) =>
    jwt.sign({ ...claims, ...changes }, secret, { header: { alg: 'HS256', typ: 'at+jwt' } })
  const seconds = Math.floor(Date.now() / 1000)
  const mistyped = `${ada.key.slice(0, 20)}${ada.key[20] === 'a' ? 'b' : 'a'}${ada.key.slice(21)}`
  const token = (text: string) => ({ 'x-access-token': text })
  const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
  const key = (text: string) => ({ 'x-api-key': text })
  const is = (user: { id: number }, name: string, roles: string, method: string) =>
    ({ 'x-user-id': String(user.id), 'x-user-name': name, 'x-user-roles': roles, 'x-auth-method': method })
  return [
    { title: 'an admin\'s token', headers: token(ada.token), identity: is(ada, 'ada', 'user,admin', 'session') },
    { title: 'an admin\'s bearer', headers: bearer(ada.token), identity: is(ada, 'ada', 'user,admin', 'session') },
    { title: 'an admin\'s key', headers: key(ada.key), identity: is(ada, 'ada', 'user,admin', 'key') },
    { title: 'a user\'s token', headers: token(bob.token), identity: is(bob, 'bob', 'user', 'session') },
    { title: 'a user\'s key', headers: bearer(bob.key), identity: is(bob, 'bob', 'user', 'key') },
    { title: 'a key that outlives a sign-out', headers: key(gone.key), identity: is(gone, 'gone', 'user,admin', 'key') },
    { title: 'nothing', headers: {} },
    { title: 'another scheme', headers: { authorization: 'Basic YWRhOmNvcnJlY3QgaG9yc2U=' } },
    { title: 'garbage', headers: bearer('garbage') },
    { title: 'a mistyped key', headers: key(mistyped) },
    { title: 'an expired token', headers: token(sign({ iat: seconds - 100, exp: seconds - 50 })) },
    { title: 'a forged token', headers: token(sign({}, 'another secret of the cluster tests, as long')) },
    { title: 'a token for another audience', headers: token(sign({ aud: 'orders' })) },
    { title: 'the token of an ended session', headers: token(gone.token) },
    { title: 'the token of a disabled user', headers: bearer(disabled.token) },
    { title: 'the key of a disabled user', headers: bearer(disabled.key) },
    { title: 'the token of a deleted user', headers: token(deleted.token) },
    { title: 'the key of a deleted user', headers: key(deleted.key) },
    { title: 'a deleted key', headers: key(String(revoked['key'])) },
    { title: 'an expired key', headers: bearer(String(expiring['key'])) },
    { title: 'a refresh token', headers: bearer(ada.refreshToken) },
    { title: 'a token and a key', headers: { ...token(ada.token), ...key(ada.key) } },
    { title: 'two tokens that differ', headers: { ...token(ada.token), ...bearer(bob.token) } }
  ]
}

/** What a client may claim to be. None of it may arrive. */
const CLAIMS: Array<Record<string, string | string[]>> = [
  {},
  { 'x-user-id': '1', 'x-user-name': 'ada', 'x-user-roles': 'user,admin', 'x-auth-method': 'session' },
  { 'X-USER-ID': ['1', '2'], 'X-User-Roles': ['admin', 'moderator'] },
  { x_user_id: '1', 'x-user_name': 'ada', x_user_roles: 'admin', x_auth_method: 'key', 'x_user-id': '1' },
  { connection: 'keep-alive, x-user-id, x-user-roles', 'x-user-roles': 'admin' }
]

const isIdentity = (name: string) => /^x[-_](user|auth)[-_]/.test(name)

const agent = new Agent({ keepAlive: true, maxSockets: 32 })
file.teardown(() => { agent.destroy() })

/** @returns the status, and the milliseconds that the response took */
async function ask (port: number, number: string, headers: object, isPost: boolean) {
  const began = performance.now()
  const body = isPost ? JSON.stringify({ some: 'body' }) : ''
  const outgoing = request({
    host: '127.0.0.1',
    port,
    agent,
    method: isPost ? 'POST' : 'GET',
    path: '/things?role=user&x=1',
    headers: { 'x-number': number, ...isPost && { 'content-type': 'application/json', 'content-length': body.length }, ...headers }
  }).end(body)
  const [response] = await once(outgoing, 'response') as [IncomingMessage]
  const text = String(await buffer(response))
  return { status: response.statusCode, text, challenge: response.headers['www-authenticate'], ms: performance.now() - began }
}

interface Proxy {
  users: number
  admins: number
}

let count = 0

/** Sends requests of every state in turn. @returns what was wrong */
async function attack (proxy: Proxy, presented: readonly Presented[], requests: number): Promise<string[]> {
  const faults: string[] = []
  let next = 0
  await Promise.all(Array.from({ length: 32 }, async () => {
    while (next < requests) {
      const index = next++
      const { title, headers, identity } = presented[index % presented.length] ?? { title: '', headers: {} }
      const claims = CLAIMS[Math.floor(index / presented.length) % CLAIMS.length]
      const forAdmins = Math.floor(index / 7) % 2 === 0
      const number = String(++count)
      const port = forAdmins ? proxy.admins : proxy.users
      const { status, challenge } = await ask(port, number, { ...claims, ...headers }, index % 3 === 0)
      const mayPass = identity && (!forAdmins || identity['x-user-roles'].includes('admin'))
      const expected = mayPass ? 200 : identity ? 403 : 401
      const arrived = received.get(number)
      received.delete(number)
      const name = `${title} with ${JSON.stringify(claims)} ${forAdmins ? 'for admins' : ''}`
      if (status !== expected) faults.push(`${name}: ${status} instead of ${expected}`)
      if (Boolean(arrived) !== Boolean(mayPass)) faults.push(`${name}: ${arrived ? 'arrived' : 'did not arrive'}`)
      if (expected === 401 && challenge !== 'Bearer') faults.push(`${name}: no challenge`)
      if (!arrived) continue
      const told = Object.fromEntries(Object.entries(arrived).filter(([header]) => isIdentity(header)).sort())
      const own = Object.fromEntries(Object.entries(identity ?? {}).sort())
      if (JSON.stringify(told) !== JSON.stringify(own)) faults.push(`${name}: ${JSON.stringify(told)}`)
      if (['authorization', 'x-access-token', 'x-api-key'].some(header => header in arrived)) faults.push(`${name}: a secret arrived`)
    }
  }))
  return faults
}

const quantile = (values: number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN

/** Starts a proxy of deploy/forward-auth/, and waits until it responds. */
async function startProxy (t: Test, name: string, command: string[], folder: string, port: number): Promise<void> {
  const proxy = start(t, name, command, { folder, root: true })
  await until(`${name} to listen`, async () => {
    if (proxy.end() !== undefined) throw new Error(proxy.output())
    return await ask(port, 'first', {}, false).then(() => true, () => false)
  })
}

const PROXIES: Record<string, (t: Test, folder: string, addresses: {
  gatehouse: string, api: string, proxy: Proxy, plain: number
}) => Promise<void>> = {
  async nginx (t, folder, { gatehouse, api, proxy, plain }) {
    for (const file of ['check.conf', 'identity.conf']) {
      await writeFor(join(folder, file), await deployed(`forward-auth/${file}`, []), 0o644)
    }
    // The same without the check, to compare the latency with.
    const bare = `  server {\n    listen 127.0.0.1:${plain};\n    location / { proxy_set_header Connection ""; proxy_pass http://api; }\n  }\n}\n`
    const conf = await deployed('forward-auth/nginx.conf', [
      ['10.0.0.11:8080', gatehouse], ['10.0.0.31:3000', api], ['10.0.0.32:3000', api],
      ['listen 80;', `listen 127.0.0.1:${proxy.users};`], ['listen 81;', `listen 127.0.0.1:${proxy.admins};`], [/\}\n$/g, bare]
    ])
    await writeFor(join(folder, 'nginx.conf'), conf, 0o644)
    await startProxy(t, 'nginx', ['nginx', '-p', folder, '-c', 'nginx.conf', '-g', 'daemon off;'], folder, proxy.users)
  },
  async haproxy (t, folder, { gatehouse, api, proxy }) {
    await writeFor(join(folder, 'gatehouse.lua'), await deployed('forward-auth/gatehouse.lua', [['10.0.0.11:8080', gatehouse]]), 0o644)
    const conf = await deployed('forward-auth/haproxy.cfg', [
      ['10.0.0.31:3000', api], ['10.0.0.32:3000', api],
      ['bind :80', `bind 127.0.0.1:${proxy.users}`], ['bind :81', `bind 127.0.0.1:${proxy.admins}`]
    ])
    const file = await writeFor(join(folder, 'haproxy.cfg'), conf, 0o644)
    await startProxy(t, 'haproxy', ['haproxy', '-f', file], folder, proxy.users)
  },
  async caddy (t, folder, { gatehouse, api, proxy }) {
    const conf = await deployed('forward-auth/Caddyfile', [
      ['10.0.0.11:8080', gatehouse], ['10.0.0.31:3000', api], ['10.0.0.32:3000', api],
      [':80 {', `http://127.0.0.1:${proxy.users} {`], [':81 {', `http://127.0.0.1:${proxy.admins} {`],
      [/^\(gatehouse\)/gm, '{\n\tadmin off\n}\n\n(gatehouse)']
    ])
    const file = await writeFor(join(folder, 'Caddyfile'), conf, 0o644)
    await startProxy(t, 'caddy', ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'], folder, proxy.users)
  }
}

test('the example behind nginx greets the user of a token, and nobody without one', async t => {
  const { port, folder } = await startPostgres(t)
  const instance = await startInstance(t, folder, 'gatehouse', {
    DATABASE_URL: `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`, TRUST_PROXY: '127.0.0.1'
  })
  await listens(instance)
  await send(instance.url, 'auth/signup', { body: signUpBody('ada') })
  const token = String((await signIn(instance.url, 'ada')).body['accessToken'])
  const [proxy, api] = [await freePort(), await freePort()]
  start(t, 'api', ['node', join(ROOT, 'examples', 'behind-nginx', 'server.js')], { folder, root: true, env: { PORT: String(api) } })
  const own = await createFolder(t)
  await writeFor(join(own, 'nginx.conf'), await deployed('../examples/behind-nginx/nginx.conf', [
    ['127.0.0.1:8000', `127.0.0.1:${proxy}`], ['127.0.0.1:8080', new URL(instance.url).host], ['127.0.0.1:3000', `127.0.0.1:${api}`]
  ]), 0o644)
  await startProxy(t, 'nginx', ['nginx', '-p', own, '-c', 'nginx.conf', '-g', 'daemon off;'], own, proxy)
  const claimed = { 'x-user-name': 'root', 'x-user-roles': 'admin' }
  const greeted = await until('the API', async () => {
    const response = await ask(proxy, '1', { ...claimed, authorization: `Bearer ${token}` }, false)
    return response.status === 200 && response
  })
  t.strictSame(JSON.parse(greeted.text), { hello: 'ada', roles: ['user'], method: 'session' })
  t.match(await ask(proxy, '2', claimed, false), { status: 401, challenge: 'Bearer' })
  t.match(await ask(api, '3', {}, false), { status: 401 })
})

test('behind the proxies of deploy/forward-auth/, an API gets the requests that may pass and no others', async t => {
  const { port, folder } = await startPostgres(t)
  const database = `postgres://postgres:${PASSWORD}@127.0.0.1:${port}/postgres`
  const instance = await startInstance(t, folder, 'gatehouse', {
    DATABASE_URL: database, TRUST_PROXY: '127.0.0.1', SIGNUP_ROLES: 'user,moderator,admin', JWT_AUDIENCES: 'orders'
  })
  await listens(instance)
  const [gatehouse, api] = [new URL(instance.url).host, await startApi(t)]
  const presented = await presentations(instance.url, database)

  for (const [name, startNamed] of Object.entries(PROXIES)) {
    await t.test(name, async t => {
      const own = await createFolder(t)
      const proxy = { users: await freePort(), admins: await freePort() }
      const plain = await freePort()
      await startNamed(t, own, { gatehouse, api, proxy, plain })
      const requests = name === 'nginx' ? 10_000 : 3000
      t.strictSame((await attack(proxy, presented, requests)).slice(0, 5), [], `${requests} requests`)

      const [{ headers }] = presented as [Presented]
      const measure = async (port: number) => {
        const times: number[] = []
        for (let i = 0; i < 2000; i++) times.push((await ask(port, 'timed', headers, false)).ms)
        return times
      }
      const checked = await measure(proxy.users)
      if (name === 'nginx') {
        const bare = await measure(plain)
        const [p50, p99] = [0.5, 0.99].map(share => (quantile(checked, share) - quantile(bare, share)).toFixed(2))
        t.comment(`nginx: the check adds ${p50} ms at the median, ${p99} ms at the 99th percentile`)
      } else {
        t.comment(`${name}: ${quantile(checked, 0.5).toFixed(2)} ms at the median, ${quantile(checked, 0.99).toFixed(2)} ms at p99`)
      }

      instance.kill('SIGSTOP')
      const stopped = await ask(proxy.users, 'stopped', headers, false)
      instance.kill('SIGCONT')
      t.ok(Number(stopped.status) >= 500, `while gatehouse does not respond: ${stopped.status}`)
      t.equal(received.has('stopped'), false)
    })
  }
})
