import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { test, type Test } from 'tap'
import { roles } from '../../src/access.ts'
import { PASSWORD } from '../support/app.ts'
import { until } from '../support/wait.ts'
import { startDescribed, tool } from './description.ts'

interface Violation { location: string[], severity: string, message: string }

/** Prism between a client and the service: it compares what passes with the description. */
async function startProxy (t: Test, file: string, origin: string): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const prism = spawn(tool('prism'), ['proxy', file, origin, '--host', '127.0.0.1', '--port', String(port)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [prism.stdout, prism.stderr]) stream.on('data', chunk => { said += String(chunk) })
  t.teardown(() => prism.kill('SIGKILL'))
  await until('Prism to listen', () => said.includes('Prism is listening') || (prism.exitCode !== null && Promise.reject(new Error(said))))
  return `http://127.0.0.1:${port}`
}

test('what the service answers is what its description says', async t => {
  const { file, origin, signUp, app } = await startDescribed(t, { SIGNUP_ROLES: [...roles] })
  const proxy = await startProxy(t, file, origin)
  const seen = new Set<string>()

  /** Sends a request by the proxy. @returns the reply, and what of request and reply is not as described */
  async function send (method: string, path: string, { token, body }: { token?: string | undefined, body?: unknown } = {}) {
    const reply = await fetch(`${proxy}${path}`, {
      method,
      headers: { ...token !== undefined && { 'x-access-token': token }, ...body !== undefined && { 'content-type': 'application/json' } },
      ...body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }
    })
    const text = await reply.text()
    t.notMatch(reply.headers.get('content-type'), 'problem+json', `${method} ${path}: ${text}`)
    const violations: Violation[] = JSON.parse(reply.headers.get('sl-violations') ?? '[]')
    const of = (side: string) => violations.filter(({ location }) => location[0] === side).map(({ location, message }) => `${location.join('.')}: ${message}`)
    t.strictSame(of('response'), [], `${method} ${path} ${reply.status}`)
    seen.add(`${method} ${path.replace(/\/\d+/, '/:id').replace(/\/sessions\/.*/, '/sessions/:id').replace(/\?.*/, '')} ${reply.status}`)
    return { status: reply.status, body: text.startsWith('{') ? JSON.parse(text) : text, request: of('request') }
  }

  /** A request that is as described. */
  async function good (status: number, method: string, path: string, options: { token?: string, body?: unknown } = {}) {
    const reply = await send(method, path, options)
    t.strictSame([reply.status, reply.request], [status, []], `${method} ${path} ${JSON.stringify(reply.body)}`)
    return reply.body
  }

  const account = (username: string, held: readonly string[] = ['user']) => ({ username, email: `${username}@example.com`, password: PASSWORD, roles: held })
  await good(200, 'GET', '/')
  for (const path of ['/health/live', '/health/ready', '/.well-known/jwks.json', '/api/test/all']) await good(200, 'GET', path)
  for (const [name, held] of [['ann', ['user']], ['max', ['moderator']], ['root', ['user', 'admin', 'moderator']]] as const) {
    await good(200, 'POST', '/api/auth/signup', { body: account(name, held) })
  }
  await good(400, 'POST', '/api/auth/signup', { body: account('ann') })
  await good(404, 'POST', '/api/auth/signin', { body: { username: 'nobody', password: PASSWORD } })
  await good(401, 'POST', '/api/auth/signin', { body: { username: 'ann', password: 'wrong' } })
  const signIn = async (username: string) => await good(200, 'POST', '/api/auth/signin', { body: { username, password: PASSWORD } })
  const ann = await signIn('ann')
  const root = await signIn('root')
  const token = root.accessToken
  const { refreshToken } = await good(200, 'POST', '/api/auth/refreshtoken', { body: { refreshToken: ann.refreshToken } })
  await good(403, 'POST', '/api/auth/refreshtoken', { body: { refreshToken: 'forged' } })
  for (const board of ['user', 'mod', 'admin']) await good(200, 'GET', `/api/test/${board}`, { token })
  await good(403, 'GET', '/api/test/mod', { token: ann.accessToken })
  await good(403, 'GET', '/api/test/admin', { token: ann.accessToken })
  await good(401, 'GET', '/api/test/user', { token: 'garbage' })
  await good(200, 'GET', '/api/users/me', { token })
  await good(200, 'GET', '/api/users', { token })
  await good(200, 'GET', '/api/users?limit=1&search=a', { token })
  await good(200, 'GET', `/api/users/${ann.id}`, { token })
  await good(404, 'GET', '/api/users/9999999', { token })
  await good(200, 'PUT', `/api/users/${ann.id}/roles`, { token, body: { roles: ['user', 'moderator'] } })
  await good(200, 'PUT', `/api/users/${ann.id}/disabled`, { token, body: { disabled: true } })
  await good(403, 'POST', '/api/auth/signin', { body: { username: 'ann', password: PASSWORD } })
  await good(200, 'PUT', `/api/users/${ann.id}/disabled`, { token, body: { disabled: false } })
  await good(200, 'GET', '/api/audit', { token })
  const { sessions } = await good(200, 'GET', '/api/auth/sessions', { token })
  t.ok(sessions.length > 0)
  await good(404, 'DELETE', '/api/auth/sessions/00000000-0000-7000-8000-000000000000', { token })
  await good(200, 'DELETE', `/api/users/${ann.id}/sessions`, { token })
  await good(200, 'POST', '/api/auth/signout', { body: { refreshToken } })
  const again = await signIn('ann')
  await good(200, 'PUT', '/api/users/me/password', { token: again.accessToken, body: { currentPassword: PASSWORD, newPassword: 'battery staple' } })
  await good(401, 'DELETE', '/api/users/me', { token: again.accessToken, body: { password: 'wrong' } })
  await good(200, 'DELETE', '/api/users/me', { token: again.accessToken, body: { password: 'battery staple' } })
  const max = await signIn('max')
  await good(200, 'DELETE', `/api/users/${max.id}`, { token })
  await good(409, 'DELETE', '/api/users/me', { token, body: { password: PASSWORD } })
  const { sid } = app.accessTokens.verify(token)
  await good(200, 'DELETE', `/api/auth/sessions/${sid}`, { token })
  const last = await signIn('root')
  await good(200, 'POST', '/api/auth/signout/all', { token: last.accessToken })

  // Requests that are not as described are answered as described.
  t.match(await send('GET', '/api/test/user'), { status: 403, request: [/^request/] })
  t.match(await send('POST', '/api/auth/signin', { body: { username: 'ann' } }), { status: 400, request: [/^request/] })
  t.match(await send('POST', '/api/auth/refreshtoken', { body: {} }), { status: 403 })
  t.match(await send('GET', '/api/users/zero', { token: root.accessToken }), { status: 401 })
  await signUp('zoe', ['admin'])
  const zoe = await signIn('zoe')
  t.match(await send('GET', '/api/users/zero', { token: zoe.accessToken }), { status: 400, request: [/^request/] })

  const described = Object.entries<Record<string, object>>(Object(app.swagger()).paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path.replace(/\{\w+\}/, ':id')}`))
  const walked = new Set([...seen].map(line => line.split(' ').slice(0, 2).join(' ')))
  t.strictSame(described.filter(operation => !walked.has(operation)), [], 'every operation was walked through')
})

test('a reply that is not as described would be found', async t => {
  const { file, origin } = await startDescribed(t)
  const description = JSON.parse(await readFile(file, 'utf8'))
  description.paths['/health/live'].get.responses['200'].content['application/json'].schema.properties.status = { type: 'integer' }
  await writeFile(file, JSON.stringify(description))
  const proxy = await startProxy(t, file, origin)
  const reply = await fetch(`${proxy}/health/live`)
  t.match(JSON.parse(reply.headers.get('sl-violations') ?? '[]'), [{ location: ['response', 'body', 'status'] }])
})
