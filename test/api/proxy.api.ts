import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { test, type Test } from 'tap'
import { roles } from '../../src/access.ts'
import { PASSWORD, type SignedIn } from '../support/app.ts'
import { Authenticator } from '../support/authenticator.ts'
import { codeOf, type CreationOptions, FACTOR_SETTINGS, stepBegun } from '../support/factors.ts'
import { startMailServer } from '../support/mail-server.ts'
import { readLetter } from '../support/mailbox.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'
import { until } from '../support/wait.ts'
import { startDescribed, tool } from './description.ts'

interface Violation {
  location: string[]
  severity: string
  message: string
}

interface Request {
  method: string
  path: string
  /** an access token */
  token?: string
  /** an API key */
  key?: string
  body?: unknown
}

const violationsOf = (response: Response) => JSON.parse(response.headers.get('sl-violations') ?? '[]') as Violation[]

/** Starts Prism as a proxy of the service. It compares requests and responses with the description. */
async function startProxy (t: Test, file: string, origin: string): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const args = ['proxy', file, origin, '--host', '127.0.0.1', '--port', String(port)]
  const prism = spawn(tool('prism'), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [prism.stdout, prism.stderr]) {
    stream.on('data', (chunk: Buffer) => { output += String(chunk) })
  }
  t.teardown(() => prism.kill('SIGKILL'))
  await until('Prism to listen', () => {
    if (prism.exitCode !== null) throw new Error(output)
    return output.includes('Prism is listening')
  })
  return `http://127.0.0.1:${port}`
}

test('every response is as the description says', async t => {
  const mail = await startMailServer(t)
  const { file, origin, signUp, app, sql } = await startDescribed(t, {
    ...MAIL_SETTINGS, ...FACTOR_SETTINGS, MAIL_URL: mail.url, MAIL_RECIPIENT_LIMIT: 0, SIGNUP_ROLES: [...roles]
  })
  const proxy = await startProxy(t, file, origin)
  const seen = new Set<string>()

  /** Sends a request through the proxy. @returns the response, and what of the request is not as described */
  async function send<Body = Record<string, unknown>> ({ method, path, token, key, body }: Request) {
    const response = await fetch(`${proxy}${path}`, {
      method,
      headers: {
        ...token !== undefined && { 'x-access-token': token },
        ...key !== undefined && { 'x-api-key': key },
        ...body !== undefined && { 'content-type': 'application/json' }
      },
      ...body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }
    })
    const text = await response.text()
    t.notMatch(response.headers.get('content-type'), 'problem+json', `${method} ${path}: ${text}`)
    const of = (side: string) => violationsOf(response).filter(({ location }) => location[0] === side)
      .map(({ location, message }) => `${location.join('.')}: ${message}`)
    t.strictSame(of('response'), [], `${method} ${path} ${response.status}`)
    const route = path.replace(/\/\d+/, '/:id').replace(/\/(sessions|passkeys)\/.*-.*/, '/$1/:id')
      .replace(/\/api\/keys\/.*/, '/api/keys/:id').replace(/:id\/keys\/.*/, ':id/keys/:keyId').replace(/\?.*/, '')
    seen.add(`${method} ${route} ${response.status}`)
    return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : text) as Body, request: of('request') }
  }

  /** Sends a request that is as described. */
  async function good<Body = Record<string, unknown>> (
    status: number, method: string, path: string, options: { token?: string, key?: string, body?: unknown } = {}
  ) {
    const response = await send<Body>({ method, path, ...options })
    t.strictSame([response.status, response.request], [status, []], `${method} ${path} ${JSON.stringify(response.body)}`)
    return response.body
  }

  const user = (username: string, held: readonly string[] = ['user']) =>
    ({ username, email: `${username}@example.com`, password: PASSWORD, roles: held })
  await good(200, 'GET', '/')
  for (const path of ['/health/live', '/health/ready', '/.well-known/jwks.json', '/api/test/all']) {
    await good(200, 'GET', path)
  }
  for (const [name, held] of Object.entries({ ann: ['user'], max: ['moderator'], root: ['user', 'admin', 'moderator'] })) {
    await good(200, 'POST', '/api/auth/signup', { body: user(name, held) })
  }
  await good(400, 'POST', '/api/auth/signup', { body: user('ann') })
  await good(404, 'POST', '/api/auth/signin', { body: { username: 'nobody', password: PASSWORD } })
  await good(401, 'POST', '/api/auth/signin', { body: { username: 'ann', password: 'wrong' } })
  const signIn = async (username: string) =>
    await good<SignedIn>(200, 'POST', '/api/auth/signin', { body: { username, password: PASSWORD } })
  const ann = await signIn('ann')
  const root = await signIn('root')
  const token = root.accessToken
  const { refreshToken } = await good<SignedIn>(200, 'POST', '/api/auth/refreshtoken', {
    body: { refreshToken: ann.refreshToken }
  })
  await good(403, 'POST', '/api/auth/refreshtoken', { body: { refreshToken: 'forged' } })
  for (const name of ['user', 'mod', 'admin']) await good(200, 'GET', `/api/test/${name}`, { token })
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
  const { sessions } = await good<{ sessions: unknown[] }>(200, 'GET', '/api/auth/sessions', { token })
  t.ok(sessions.length > 0)
  await good(404, 'DELETE', '/api/auth/sessions/00000000-0000-7000-8000-000000000000', { token })
  await good(200, 'DELETE', `/api/users/${ann.id}/sessions`, { token })
  await good(200, 'POST', '/api/auth/signout', { body: { refreshToken } })
  const again = await signIn('ann')
  const changed = await good<SignedIn>(200, 'PUT', '/api/users/me/password', {
    token: again.accessToken, body: { currentPassword: PASSWORD, newPassword: 'battery staple' }
  })
  await good(401, 'DELETE', '/api/users/me', { token: changed.accessToken, body: { password: 'wrong' } })
  await good(200, 'DELETE', '/api/users/me', { token: changed.accessToken, body: { password: 'battery staple' } })
  const max = await signIn('max')
  await good(200, 'DELETE', `/api/users/${max.id}`, { token })
  await good(409, 'DELETE', '/api/users/me', { token, body: { password: PASSWORD } })
  const { sid } = app.accessTokens.verify(token)
  await good(200, 'DELETE', `/api/auth/sessions/${sid}`, { token })
  const last = await signIn('root')
  await good(200, 'POST', '/api/auth/signout/all', { token: last.accessToken })

  // The life of an e-mail address.
  await signUp('amy', ['admin'])
  const amy = await signIn('amy')
  /** The token of the newest mail to an address, once it has received so many. */
  const tokenTo = async (address: string, count: number) => {
    const received = () => mail.mails.filter(({ to }) => to.includes(address))
    const last = await until(`${count} mails to ${address}`, () => received()[count - 1])
    return readLetter(last).token
  }
  const [former, next] = ['amy@example.com', 'amy@new.example.com']
  await good(200, 'POST', '/api/auth/reauthenticate', { token: amy.accessToken, body: { password: PASSWORD } })
  await good(200, 'POST', '/api/auth/email/verification', { body: { email: former } })
  const verification = await tokenTo(former, 1)
  await good(400, 'POST', '/api/auth/email/verify', { body: { token: verification } })
  await good(200, 'POST', '/api/auth/email/verify', { body: { token: verification, password: PASSWORD } })
  await good(202, 'PUT', '/api/users/me/email', { token: amy.accessToken, body: { email: next } })
  await good(200, 'POST', '/api/auth/email/verify', { token: amy.accessToken, body: { token: await tokenTo(next, 1) } })
  await good(200, 'POST', '/api/auth/email/undo', { body: { token: await tokenTo(former, 2) } })
  await good(400, 'POST', '/api/auth/email/undo', { body: { token: 'unknown' } })
  await good(200, 'POST', '/api/auth/password/reset', { body: { token: await tokenTo(former, 3), newPassword: PASSWORD } })
  await good(200, 'POST', '/api/auth/password/forgot', { body: { email: former } })
  await good(400, 'POST', '/api/auth/password/reset', { body: { email: former, code: '000000', newPassword: PASSWORD } })
  const admin = await signIn('amy')
  await good(202, 'POST', `/api/users/${admin.id}/password-reset`, { token: admin.accessToken })

  // Second factors.
  await stepBegun(t)
  await signUp('tom')
  await sql('UPDATE users SET email_verified_at = now() WHERE username = \'tom\'')
  const { id, accessToken: first } = await signIn('tom')
  await good(409, 'POST', '/api/users/me/recovery-codes', { token: first })
  const { secret } = await good<{ secret: string }>(201, 'POST', '/api/users/me/totp', { token: first })
  await good(400, 'PUT', '/api/users/me/totp', { token: first, body: { code: codeOf(secret, 2) } })
  const tom = await good<{ accessToken: string }>(200, 'PUT', '/api/users/me/totp', {
    token: first, body: { code: codeOf(secret, -1) }
  })
  const asTom = async <Body = Record<string, unknown>> (status: number, method: string, path: string, body?: object) =>
    await good<Body>(status, method, path, { token: tom.accessToken, ...body && { body } })
  await asTom(200, 'GET', '/api/users/me/factors')
  const { recoveryCodes: [code = '', ...codes] } =
    await asTom<{ recoveryCodes: string[] }>(201, 'POST', '/api/users/me/recovery-codes')
  const { challenge } = await good<{ challenge: string }>(401, 'POST', '/api/auth/signin', {
    body: { username: 'tom', password: PASSWORD }
  })
  await good(401, 'POST', '/api/auth/signin/second-factor', { body: { challenge, code: '000000' } })
  await good(200, 'POST', '/api/auth/signin/second-factor', { body: { challenge, code: codeOf(secret) } })
  await good(401, 'POST', '/api/auth/signin/second-factor', { body: { challenge, code } })
  await asTom(401, 'POST', '/api/auth/reauthenticate', { password: PASSWORD })
  await asTom(401, 'POST', '/api/auth/reauthenticate', { code: '000000' })
  await asTom(200, 'POST', '/api/auth/reauthenticate', { code })
  const authenticator = new Authenticator()
  const options = await asTom<CreationOptions>(200, 'POST', '/api/users/me/passkeys/options')
  const response = authenticator.create(options)
  const passkey = await asTom<{ id: string }>(201, 'POST', '/api/users/me/passkeys', { response, name: 'Work laptop' })
  await asTom(401, 'POST', '/api/users/me/passkeys', { response })
  await asTom(400, 'POST', '/api/users/me/passkeys', { response: authenticator.create(options, { isUserVerified: false }) })
  await asTom(200, 'GET', '/api/users/me/passkeys')
  await asTom(200, 'PATCH', `/api/users/me/passkeys/${passkey.id}`, { name: 'Old laptop' })
  await asTom(404, 'PATCH', '/api/users/me/passkeys/00000000-0000-7000-8000-000000000000', { name: 'Old laptop' })
  const request = await good<{ challenge: string }>(200, 'POST', '/api/auth/signin/passkey/options')
  const assertion = authenticator.get(request.challenge)
  await good(200, 'POST', '/api/auth/signin/passkey', { body: { response: assertion } })
  await good(401, 'POST', '/api/auth/signin/passkey', { body: { response: assertion } })
  const renewal = await asTom<{ challenge: string }>(200, 'POST', '/api/auth/reauthenticate/options')
  await asTom(200, 'POST', '/api/auth/reauthenticate', { passkey: authenticator.get(renewal.challenge) })
  await asTom(200, 'DELETE', `/api/users/me/passkeys/${passkey.id}`)
  await asTom(404, 'DELETE', `/api/users/me/passkeys/${passkey.id}`)
  await good(200, 'POST', '/api/auth/password/forgot', { body: { email: 'tom@example.com' } })
  // Among notices, which may overtake each other.
  const link = await until('the link', () =>
    mail.mails.filter(({ to }) => to.includes('tom@example.com')).map(letter => readLetter(letter).token).find(Boolean))
  const reset = { token: link, newPassword: PASSWORD }
  await good(401, 'POST', '/api/auth/password/reset', { body: reset })
  await asTom(200, 'DELETE', '/api/users/me/totp')
  await asTom(404, 'DELETE', '/api/users/me/totp')
  t.equal(codes.length, 9)
  await good(200, 'DELETE', `/api/users/${id}/factors`, { token: admin.accessToken })
  // API keys, and what machines ask.
  const created = await good<{ id: string, key: string }>(201, 'POST', '/api/keys', {
    token: admin.accessToken, body: { name: 'nightly export', roles: ['admin'], expiresAt: '2099-12-31T00:00:00Z' }
  })
  const { key } = await good<{ key: string }>(201, 'POST', '/api/keys', { token: admin.accessToken, body: { name: 'b' } })
  await good(403, 'POST', '/api/keys', { token: admin.accessToken, body: { name: 'c', roles: ['moderator'] } })
  await good(200, 'GET', '/api/keys', { token: admin.accessToken })
  await good(200, 'GET', `/api/users/${admin.id}/keys`, { token: admin.accessToken })
  await good(200, 'GET', '/api/test/admin', { key })
  await good(200, 'GET', '/api/auth/check', { token: admin.accessToken })
  await good(200, 'GET', '/api/auth/check?role=user&role=admin', { key })
  await good(403, 'GET', '/api/auth/check?role=moderator', { key })
  await good(400, 'GET', '/api/auth/check?role=root', { key })
  for (const introspected of [admin.accessToken, admin.refreshToken, key, 'garbage']) {
    await good(200, 'POST', '/api/auth/introspect', { key, body: { token: introspected } })
  }
  await good(200, 'DELETE', `/api/keys/${created.id}`, { token: admin.accessToken })
  await good(404, 'DELETE', `/api/users/${admin.id}/keys/${created.id}`, { token: admin.accessToken })

  // Responses to requests that are not as described are as described.
  t.match(await send({ method: 'GET', path: '/api/test/user' }), { status: 403, request: [/^request/] })
  t.match(await send({ method: 'POST', path: '/api/auth/signin', body: { username: 'ann' } }), { status: 400, request: [/^request/] })
  t.match(await send({ method: 'POST', path: '/api/auth/refreshtoken', body: {} }), { status: 403 })
  t.match(await send({ method: 'GET', path: '/api/users/zero', token: root.accessToken }), { status: 401 })
  await signUp('zoe', ['admin'])
  const zoe = await signIn('zoe')
  const invalid = await send({ method: 'GET', path: '/api/users/zero', token: zoe.accessToken })
  t.match(invalid, { status: 400, request: [/^request/] })

  const { paths } = app.swagger() as { paths: Record<string, Record<string, unknown>> }
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`))
  const called = new Set([...seen].map(line => line.split(' ').slice(0, 2).join(' ')))
  t.strictSame(described.filter(operation => !called.has(operation)), [], 'every operation was called')
})

interface Described {
  paths: {
    '/health/live': {
      get: { responses: { 200: { content: { 'application/json': { schema: { properties: Record<string, object> } } } } } }
    }
  }
}

test('a response that is not as described is found', async t => {
  const { file, origin } = await startDescribed(t)
  const description = JSON.parse(await readFile(file, 'utf8')) as Described
  const { schema } = description.paths['/health/live'].get.responses[200].content['application/json']
  schema.properties['status'] = { type: 'integer' }
  await writeFile(file, JSON.stringify(description))
  const proxy = await startProxy(t, file, origin)
  t.match(violationsOf(await fetch(`${proxy}/health/live`)), [{ location: ['response', 'body', 'status'] }])
})
