import type { FastifyContextConfig } from 'fastify'
import jwt from 'jsonwebtoken'
import { test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { type Access, type Role, roles } from '../../src/access.ts'
import { catalogue, type ErrorCode, exampleMessage } from '../../src/errors.ts'
import { configOf, createDatabase, PASSWORD, signUpBody, startApp, type TestApp } from '../support/app.ts'
import { Authenticator } from '../support/authenticator.ts'
import { collectRoutes } from '../support/declared-routes.ts'
import { FACTOR_SETTINGS } from '../support/factors.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'
import { sessionEntry } from '../support/session.ts'

// The access matrix: every route with every kind of caller.

/** What a request acts on: a new user and a session of that user. */
interface Target {
  id: number
  name: string
  sessionId: string
  refreshToken: string
}

/** A service with every route. No server listens there, so no mail is sent. */
const EVERYTHING = { ...MAIL_SETTINGS, ...FACTOR_SETTINGS, MAIL_URL: 'smtp://127.0.0.1:1' }

type Row = [
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  url: string,
  /** `status` is what a caller with access gets, if it is not 200 */
  request?: ((target: Target) => { url?: string, payload?: object, status?: number }) | undefined,
  /** `unauthorized`: a request without a token gets 401 too */
  requires?:
    'fresh' | 'enrolment' | 'fresh enrolment' | 'keys too' | 'keys too, unauthorized' | 'keys only, unauthorized'
]

// No mail has sent this token. That it is invalid is found after the access was granted.
const unknownToken = (fields: object = {}) => () => ({ payload: { token: 'x', ...fields }, status: 400 })

const passkey = new Authenticator()
// No service has made this challenge.
const assertion = passkey.get('x', { userHandle: 'x' })
const created = passkey.create({ challenge: 'x', user: { id: 'x' } })
const registration = { ...created, response: { ...created.response, clientDataJSON: 'AAAA' } }
// No passkey has this id.
const unknownPasskey = { url: '/api/users/me/passkeys/019ab0c4-7c00-7000-8000-000000000001', status: 404 }

const REAUTHENTICATE = '/api/auth/reauthenticate'
// No user has this key. That too is found after the access was granted.
const UNKNOWN_KEY = '019ab0c4-7c00-7000-8000-000000000001'

// The requests that a caller with access sends. Who has access is repeated here, not read from the routes.
const MATRIX: Record<Access, Row[]> = {
  public: [
    ['GET', '/'],
    ['GET', '/.well-known/jwks.json'],
    ['GET', '/api/test/all'],
    ['GET', '/health/live'],
    ['GET', '/health/ready'],
    ['GET', '/email/verify'],
    ['GET', '/email/undo'],
    ['GET', '/password/reset'],
    ['GET', '/assets/pages.css'],
    ['GET', '/assets/pages.js'],
    ['POST', '/api/auth/email/verification', ({ name }) => ({ payload: { email: `${name}@example.com` } })],
    ['POST', '/api/auth/email/verify', unknownToken()],
    ['POST', '/api/auth/email/undo', unknownToken()],
    ['POST', '/api/auth/password/forgot', ({ name }) => ({ payload: { email: `${name}@example.com` } })],
    ['POST', '/api/auth/password/reset', unknownToken({ newPassword: 'battery staple' })],
    ['POST', '/api/auth/signup', ({ name }) => ({ payload: signUpBody(`${name}x`) })],
    ['POST', '/api/auth/signin', ({ name }) => ({ payload: { username: name, password: PASSWORD } })],
    ['POST', '/api/auth/signin/second-factor', () => ({ payload: { challenge: 'x', code: '123456' }, status: 401 })],
    ['POST', '/api/auth/signin/passkey/options'],
    ['POST', '/api/auth/signin/passkey', () => ({ payload: { response: assertion }, status: 401 })],
    ['POST', '/api/auth/refreshtoken', ({ refreshToken }) => ({ payload: { refreshToken } })],
    ['POST', '/api/auth/signout', ({ refreshToken }) => ({ payload: { refreshToken } })]
  ],
  'signed-in': [
    ['GET', '/api/test/user', undefined, 'keys too'],
    ['GET', '/api/auth/check', undefined, 'keys too, unauthorized'],
    ['POST', '/api/auth/introspect', () => ({ payload: { token: 'x' } }), 'keys only, unauthorized'],
    ['GET', '/api/keys'],
    ['POST', '/api/keys', () => ({ payload: { name: 'a key' }, status: 201 }), 'fresh'],
    ['DELETE', '/api/keys/:id', () => ({ url: `/api/keys/${UNKNOWN_KEY}`, status: 404 })],
    ['POST', '/api/auth/signout/all'],
    ['GET', '/api/auth/sessions'],
    ['DELETE', '/api/auth/sessions/:id'],
    ['GET', '/api/users/me', undefined, 'enrolment'],
    ['POST', REAUTHENTICATE, () => ({ payload: { password: PASSWORD } }), 'enrolment'],
    ['POST', '/api/auth/reauthenticate/options', undefined, 'enrolment'],
    ['GET', '/api/users/me/factors', undefined, 'enrolment'],
    ['POST', '/api/users/me/totp', () => ({ status: 201 }), 'fresh enrolment'],
    ['PUT', '/api/users/me/totp', () => ({ payload: { code: '123456' }, status: 400 }), 'fresh enrolment'],
    ['DELETE', '/api/users/me/totp', () => ({ status: 404 }), 'fresh'],
    ['POST', '/api/users/me/recovery-codes', () => ({ status: 409 }), 'fresh'],
    ['GET', '/api/users/me/passkeys', undefined, 'enrolment'],
    ['POST', '/api/users/me/passkeys/options', undefined, 'fresh enrolment'],
    ['POST', '/api/users/me/passkeys', () => ({ payload: { response: registration }, status: 400 }), 'fresh enrolment'],
    ['PATCH', '/api/users/me/passkeys/:id', () => ({ ...unknownPasskey, payload: { name: 'x' } }), 'fresh'],
    ['DELETE', '/api/users/me/passkeys/:id', () => unknownPasskey, 'fresh'],
    ['PUT', '/api/users/me/password', () => ({ payload: { currentPassword: PASSWORD, newPassword: 'battery staple' } })],
    ['PUT', '/api/users/me/email', ({ name }) => ({ payload: { email: `${name}@new.example.com` }, status: 202 }), 'fresh'],
    ['DELETE', '/api/users/me', () => ({ payload: { password: PASSWORD } }), 'fresh']
  ],
  moderator: [['GET', '/api/test/mod', undefined, 'keys too']],
  admin: [
    ['GET', '/api/test/admin', undefined, 'keys too'],
    ['GET', '/api/audit', undefined, 'keys too'],
    ['GET', '/api/users/:id/keys', ({ id }) => ({ url: `/api/users/${id}/keys` })],
    ['DELETE', '/api/users/:id/keys/:keyId', ({ id }) => ({ url: `/api/users/${id}/keys/${UNKNOWN_KEY}`, status: 404 })],
    ['PUT', '/api/users/:id/roles', ({ id }) => ({ url: `/api/users/${id}/roles`, payload: { roles: ['moderator'] } }), 'fresh'],
    ['PUT', '/api/users/:id/disabled', ({ id }) => ({ url: `/api/users/${id}/disabled`, payload: { disabled: true } }), 'fresh'],
    ['POST', '/api/users/:id/password-reset', ({ id }) => ({ url: `/api/users/${id}/password-reset`, status: 202 })],
    ['DELETE', '/api/users/:id/sessions', ({ id }) => ({ url: `/api/users/${id}/sessions` }), 'fresh'],
    ['DELETE', '/api/users/:id/factors', ({ id }) => ({ url: `/api/users/${id}/factors` }), 'fresh'],
    ['DELETE', '/api/users/:id', ({ id }) => ({ url: `/api/users/${id}` }), 'fresh']
  ],
  'moderator or admin': [
    ['GET', '/api/users', undefined, 'keys too'],
    ['GET', '/api/users/:id', ({ id }) => ({ url: `/api/users/${id}` }), 'keys too']
  ]
}

const CALLERS = [
  'none', 'garbage', 'expired', 'user', 'moderator', 'admin', 'all roles', 'stale user', 'stale', 'signed out', 'disabled',
  'deleted', 'another key', 'without the second factor', 'enrolment only', 'API key', 'API key of a user', 'deleted API key'
] as const

type Caller = typeof CALLERS[number]

/** The outcome of a cell: 200, or the error. */
function expected (access: Access, requires: Row[3], caller: Caller): 200 | ErrorCode {
  if (access === 'public') return 200
  const [admits, missing] = requires?.split(', ') ?? []
  if (caller === 'none') return missing ? 'ACCESS_TOKEN_INVALID' : 'ACCESS_TOKEN_MISSING'
  if (admits === 'keys only' && !caller.startsWith('API key')) return 'ACCESS_TOKEN_INVALID'
  switch (caller) {
    case 'API key': case 'API key of a user': {
      if (!admits?.startsWith('keys')) return 'ACCESS_TOKEN_INVALID'
      if (admits === 'keys only') return caller === 'API key' ? 200 : 'ROLE_NOT_HELD'
      return expectedByRole(access, caller === 'API key' ? 'all roles' : 'user')
    }
    case 'deleted API key': return 'ACCESS_TOKEN_INVALID'
    case 'expired': return 'ACCESS_TOKEN_EXPIRED'
    case 'garbage': case 'signed out': case 'disabled': case 'deleted': case 'another key': return 'ACCESS_TOKEN_INVALID'
    case 'stale user': case 'stale': case 'without the second factor': {
      const outcome = expectedByRole(access, caller === 'stale user' ? 'user' : 'all roles')
      return outcome === 200 && requires?.startsWith('fresh') ? 'REAUTHENTICATION_REQUIRED' : outcome
    }
    case 'enrolment only': return requires?.endsWith('enrolment') ? 200 : 'SECOND_FACTOR_ENROLMENT_REQUIRED'
    case 'user': case 'moderator': case 'admin': case 'all roles': return expectedByRole(access, caller)
  }
}

type RoleHolder = 'user' | 'moderator' | 'admin' | 'all roles'

function expectedByRole (access: Exclude<Access, 'public'>, caller: RoleHolder): 200 | ErrorCode {
  const allowed: Record<typeof access, RoleHolder[]> = {
    'signed-in': ['user', 'moderator', 'admin', 'all roles'],
    moderator: ['moderator', 'all roles'],
    admin: ['admin', 'all roles'],
    'moderator or admin': ['moderator', 'admin', 'all roles']
  }
  if (allowed[access].includes(caller)) return 200
  if (access === 'moderator') return 'MODERATOR_REQUIRED'
  return access === 'admin' ? 'ADMIN_REQUIRED' : 'MODERATOR_OR_ADMIN_REQUIRED'
}

async function createTarget (
  service: TestApp,
  name: string,
  held: readonly string[]
): Promise<Target & { accessToken: string }> {
  await service.signUp(name, [...held])
  const { id, accessToken, refreshToken } = await service.signIn(name)
  return { id, name, accessToken, refreshToken, sessionId: service.app.accessTokens.verify(accessToken).sid }
}

function heldBy (caller: Caller): readonly Role[] {
  if (caller === 'stale user' || caller === 'API key of a user') return ['user']
  return caller === 'moderator' || caller === 'admin' || caller === 'user' ? [caller] : roles
}

/** The headers of a caller, and the caller's own session. */
async function createCaller (
  service: TestApp,
  caller: Caller,
  name: string
): Promise<{ headers: Record<string, string>, sessionId: string }> {
  const held = heldBy(caller)
  const { id, sessionId, accessToken, refreshToken } = await createTarget(service, name, held)
  const stale = async () => {
    await service.sql('UPDATE refresh_tokens SET authenticated_at = now() - interval \'601 s\' WHERE user_id = $1', [id])
    return accessToken
  }
  const createKey = async () => {
    const { json } = await service.as(accessToken, 'POST', '/api/keys', { name })
    return json<{ id: string, key: string }>()
  }
  const tokens: Record<Exclude<Caller, 'none'>, () => Promise<string> | string> = {
    'API key': async () => (await createKey()).key,
    'API key of a user': async () => (await createKey()).key,
    async 'deleted API key' () {
      const { id: keyId, key } = await createKey()
      await service.as(accessToken, 'DELETE', `/api/keys/${keyId}`)
      return key
    },
    garbage: () => 'garbage',
    expired () {
      const expiresAt = new Date(Date.now() - 5000)
      return service.app.accessTokens.issue(sessionEntry({ userId: id, sessionId, expiresAt }))
    },
    user: () => accessToken,
    moderator: () => accessToken,
    admin: () => accessToken,
    'all roles': () => accessToken,
    'stale user': stale,
    stale,
    async 'without the second factor' () {
      await service.sql('INSERT INTO credentials (user_id, kind, data) VALUES ($1, $2, $3)',
        [id, 'totp', { secret: '', lastStep: 0 }])
      return accessToken
    },
    'enrolment only': () => accessToken,
    async 'signed out' () {
      await service.post('/api/auth/signout', { refreshToken })
      return accessToken
    },
    async disabled () {
      await service.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [id])
      return accessToken
    },
    async deleted () {
      await service.sql('DELETE FROM users WHERE id = $1', [id])
      return accessToken
    },
    'another key' () {
      const header = { alg: 'HS256', typ: 'at+jwt' }
      return jwt.sign(jwt.decode(accessToken) ?? '', 'another secret, as long as the one of the tests', { header })
    }
  }
  const header = caller.includes('API key') ? 'x-api-key' : 'x-access-token'
  return { headers: caller === 'none' ? {} : { [header]: await tokens[caller]() }, sessionId }
}

/** The fourth column of the matrix, from what a route declares. */
function requirementsOf (config: FastifyContextConfig | undefined): string {
  const keys = config?.apiKeys && `keys ${config.apiKeys === 'only' ? 'only' : 'too'}`
  const parts = [keys, config?.freshness && 'fresh', config?.enrolment && 'enrolment'].filter(Boolean).join(' ')
  return config?.missing ? `${parts}, unauthorized` : parts
}

test('every route has a row in the matrix, with what it declares', async t => {
  const url = await createDatabase(t)
  const { app, routes: declared } = await collectRoutes(async () => await buildApp(configOf(url, { ...EVERYTHING, LOG_LEVEL: 'silent' })))
  await app.close()
  // CORS's route for preflights belongs to a package.
  const found = declared.filter(({ file }) => file !== 'elsewhere')
    .map(({ method, url, config }) =>
      `${String(method)} ${url.replace(/(.)\/$/, '$1')} ${String(config?.access)} ${requirementsOf(config)}`)
  const listed = Object.entries(MATRIX).flatMap(([access, rows]) => rows.map(([method, url, , requires = '']) =>
    `${method} ${url} ${access} ${requires}`))
  t.strictSame([...new Set(found)].sort(), listed.sort())
})

test('every route admits exactly the callers that its access names', async t => {
  const settings = { ...EVERYTHING, RATE_LIMIT_EMAIL: 0 }
  const service = await startApp(t, settings)
  const strict = await startApp(t, { ...settings, DATABASE_URL: service.url, SECOND_FACTOR: 'everybody' })
  await service.signUp('root', ['admin'])
  let count = 0
  const createCell = async (caller: Caller) => ({
    target: await createTarget(service, `target${++count}`, ['user']),
    ...await createCaller(service, caller, `caller${count}`)
  })
  // A rejected request changes nothing, so its target and its caller can be used again.
  const rejected = new Map<Caller, Awaited<ReturnType<typeof createCell>>>()
  for (const caller of CALLERS) rejected.set(caller, await createCell(caller))

  for (const [access, rows] of Object.entries(MATRIX) as Array<[Access, Row[]]>) {
    for (const [method, pattern, request, requires] of rows) {
      for (const caller of CALLERS) {
        const outcome = expected(access, requires, caller)
        const reused = outcome === 200 ? undefined : rejected.get(caller)
        const { target, headers, sessionId } = reused ?? await createCell(caller)
        const { url = pattern.replace(':id', sessionId), payload, status: granted = 200 } = request?.(target) ?? {}
        const { app } = caller === 'enrolment only' ? strict : service
        const response = await app.inject({ method, url, headers, ...payload && { payload } })
        const title = `${method} ${pattern} for ${caller}`
        if (pattern === REAUTHENTICATE && caller === 'without the second factor') {
          t.match([response.statusCode, response.json()], [401, { code: 'SECOND_FACTOR_REQUIRED' }], title)
        } else if (outcome === 200) {
          t.equal(response.statusCode, granted, title)
        } else {
          const error = { message: exampleMessage(outcome), code: outcome }
          t.strictSame([response.statusCode, response.json()], [catalogue[outcome].status, error], title)
        }
      }
    }
  }
})
