import { test } from 'tap'
import { readSettings, refreshSecrets } from '../../../src/config/read-settings.ts'
import { settings } from '../../../src/config/settings.ts'
import { faultsOf, OTHER_SECRET, SECRET, SECRET_EXPECTED, SERVICE } from '../../support/settings.ts'

test('an empty variable counts as absent', async t => {
  const empty = Object.fromEntries(Object.keys(settings.properties).map(name => [name, '']))
  t.strictSame(readSettings(empty), readSettings({}))
  t.strictSame(faultsOf({ ...SERVICE, JWT_SECRET: '' }),
    [`JWT_SECRET must be ${SECRET_EXPECTED}`])
})

test('variables that are not settings are ignored', async t => {
  t.strictSame(readSettings({ PATH: '/bin', DATABASE: 'x' }), readSettings({}))
})

test('all faults are reported together, without the values', async t => {
  const wrong = { PORT: 'port-value', DATABASE_URL: 'db-value', JWT_SECRET: 'secret-value', CORS_ORIGIN: 'origin-value' }
  t.throws(() => readSettings(wrong), {
    message: 'Invalid configuration:\n' +
      '  - PORT must be a whole number from 0 to 65535\n' +
      '  - DATABASE_URL must be a PostgreSQL URL such as postgres://user:password@host:5432/database\n' +
      `  - JWT_SECRET must be ${SECRET_EXPECTED}\n` +
      '  - CORS_ORIGIN must be a comma-separated list of origins such as https://app.example.com (no path), localhost or *'
  })
})

test('with signing keys, the service needs a secret for refresh tokens only', async t => {
  const { DATABASE_URL } = SERVICE
  const [secret, refresh] = ['JWT_SECRET', 'REFRESH_SECRET'].map(name =>
    `${name} must be ${SECRET_EXPECTED}`)
  t.strictSame(faultsOf({ DATABASE_URL, JWT_KEYS_FILE: 'keys.json', REFRESH_SECRET: OTHER_SECRET }), [])
  t.strictSame(faultsOf({ DATABASE_URL, JWT_KEYS_FILE: 'keys.json', JWT_SECRET: SECRET }), [])
  t.strictSame(faultsOf({ DATABASE_URL, JWT_KEYS_FILE: 'keys.json' }), [refresh])
  t.strictSame(faultsOf({ DATABASE_URL, REFRESH_SECRET: OTHER_SECRET }), [secret])
  t.strictSame(faultsOf({ DATABASE_URL }), [secret])
})

test('REFRESH_SECRET signs refresh tokens, or else JWT_SECRET, each with its own accepted secrets', async t => {
  const secrets = (env: Record<string, string>) =>
    refreshSecrets({ ...readSettings({ ...SERVICE, ...env }), ...SERVICE })
  const [x, y] = ['the first accepted secret of the tests', 'the second accepted secret of the tests']
  t.strictSame(secrets({}), [SECRET])
  t.strictSame(secrets({ JWT_SECRET_ACCEPTED: x, REFRESH_SECRET_ACCEPTED: y }),
    [SECRET, y, x])
  const own = { REFRESH_SECRET: OTHER_SECRET, REFRESH_SECRET_ACCEPTED: y }
  t.strictSame(secrets({ ...own, JWT_SECRET_ACCEPTED: x }),
    [OTHER_SECRET, y], 'a leaked JWT_SECRET cannot forge refresh tokens')
})
