import { test } from 'tap'
import { readSettings } from '../../../src/config/read-settings.ts'
import { ENCRYPTION_KEYS, faultsOf, SECRET, SERVICE } from '../../support/settings.ts'

const lacksDatabase = (names: string) => [`DATABASE_URL must be set; for development mode, unset ${names}`]

const EXPOSED = ['HOST must be a loopback address in development mode, in which anybody may sign up as admin; set ' +
  'DATABASE_URL, HOST=127.0.0.1 or SIGNUP_ROLES=user']

test('the settings of a deployment do not start development mode when its DATABASE_URL is empty or absent', async t => {
  for (const DATABASE_URL of ['', undefined]) {
    t.strictSame(faultsOf({ DATABASE_URL, JWT_SECRET: SECRET }), lacksDatabase('JWT_SECRET'))
    t.strictSame(faultsOf({ DATABASE_URL, JWT_KEYS_FILE: 'keys.json' }), lacksDatabase('JWT_KEYS_FILE'))
    t.strictSame(faultsOf({ DATABASE_URL, ENCRYPTION_KEYS: ENCRYPTION_KEYS.join() }), lacksDatabase('ENCRYPTION_KEYS'))
    t.strictSame(faultsOf({ DATABASE_URL, NODE_ENV: 'production' }), lacksDatabase('NODE_ENV'))
    t.strictSame(faultsOf({ DATABASE_URL, HOST: '0.0.0.0', JWT_SECRET: SECRET, JWT_KEYS_FILE: 'a', NODE_ENV: 'production' }),
      [...lacksDatabase('JWT_SECRET, JWT_KEYS_FILE, NODE_ENV'), ...EXPOSED])
  }
  t.strictSame(faultsOf({ JWT_SECRET: '', JWT_KEYS_FILE: '', NODE_ENV: 'development' }), [])
  t.strictSame(faultsOf({ ...SERVICE, NODE_ENV: 'production', HOST: '0.0.0.0' }), [])
})

test('development mode listens beyond this machine only if SIGNUP_ROLES is set', async t => {
  for (const HOST of ['0.0.0.0', '::', '192.168.1.2', '127.0.0.1.example.com', 'localhost.example.com', '1127.0.0.1']) {
    t.strictSame(faultsOf({ HOST }), EXPOSED, HOST)
    t.strictSame(faultsOf({ HOST, SIGNUP_ROLES: '' }), EXPOSED, HOST)
    t.strictSame(readSettings({ HOST, SIGNUP_ROLES: 'user' }).SIGNUP_ROLES, ['user'])
  }
  for (const HOST of ['', 'localhost', 'LOCALHOST', '127.0.0.1', '127.1.2.3', '::1']) t.strictSame(faultsOf({ HOST }), [], HOST)
})
