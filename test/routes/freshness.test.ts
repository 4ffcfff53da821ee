import { test } from 'tap'
import { buildApp } from '../../src/app.ts'
import { configOf, createDatabase } from '../support/app.ts'
import { collectRoutes, type DeclaredRoute } from '../support/declared-routes.ts'
import { MAIL_SETTINGS } from '../support/mails.ts'

// Routes that change something for signed-in users. A new one belongs in either list: for those of the second one, a
// stolen access token suffices, and the password alone.

const FRESH = [
  'PUT /api/users/me/email',
  'DELETE /api/users/me',
  'POST /api/users/me/totp',
  'PUT /api/users/me/totp',
  'DELETE /api/users/me/totp',
  'POST /api/users/me/recovery-codes',
  'POST /api/users/me/passkeys/options',
  'POST /api/users/me/passkeys',
  'PATCH /api/users/me/passkeys/:id',
  'DELETE /api/users/me/passkeys/:id',
  'POST /api/keys',
  'PUT /api/users/:id/roles',
  'PUT /api/users/:id/disabled',
  'DELETE /api/users/:id/factors',
  'DELETE /api/users/:id/sessions',
  'DELETE /api/users/:id'
]

const NOT_FRESH = [
  // These make a session fresh.
  'POST /api/auth/reauthenticate',
  'POST /api/auth/reauthenticate/options',
  // Requires the password itself.
  'PUT /api/users/me/password',
  // A user who suspects a theft must not be slowed down.
  'POST /api/auth/signout/all',
  'DELETE /api/auth/sessions/:id',
  // Revoking a key must not be slowed down.
  'DELETE /api/keys/:id',
  'DELETE /api/users/:id/keys/:keyId',
  // Changes nothing, and only API keys call it.
  'POST /api/auth/introspect',
  // The mail goes to the user alone.
  'POST /api/users/:id/password-reset'
]

type Declared = Pick<DeclaredRoute, 'method' | 'url' | 'config'>

const nameOf = ({ method, url }: Declared): string => `${String(method)} ${url}`

/** What differs from the two lists. */
function faults (routes: readonly Declared[]): string[] {
  const changing = routes.filter(({ method, config }) => method !== 'GET' && config && config.access !== 'public')
  const names = changing.map(nameOf)
  return [
    ...changing.filter(route => !(route.config?.freshness ? FRESH : NOT_FRESH).includes(nameOf(route)))
      .map(route => `${nameOf(route)} is ${route.config?.freshness ? '' : 'not '}fresh, and is not listed as such`),
    ...[...FRESH, ...NOT_FRESH].filter(name => !names.includes(name)).map(name => `${name} is not a route`)
  ]
}

test('a route that changes something requires a fresh session, or is listed as one that does not', async t => {
  const url = await createDatabase(t)
  const { app, routes } = await collectRoutes(async () =>
    await buildApp(configOf(url, { ...MAIL_SETTINGS, MAIL_URL: 'smtp://127.0.0.1:1', LOG_LEVEL: 'silent' })))
  t.teardown(async () => await app.close())
  t.strictSame(faults(routes), [])
  const added = { method: 'PUT', url: '/api/users/me/phone', config: { access: 'signed-in' } } as const
  t.strictSame(faults([...routes, added]), ['PUT /api/users/me/phone is not fresh, and is not listed as such'])
  const removed = routes.filter(({ url }) => url !== '/api/users/me/email')
  t.strictSame(faults(removed), ['PUT /api/users/me/email is not a route'])
})
