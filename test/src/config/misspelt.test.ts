import { test } from 'tap'
import { misspeltSettings } from '../../../src/config/misspelt.ts'
import { settings } from '../../../src/config/settings.ts'

test('a name near that of a setting is warned of, with the nearest one', async t => {
  t.strictSame(misspeltSettings(['DATABSE_URL', 'JWT_SECRT', 'CORS_ORIGINS', 'POTR', 'PORTS', 'SESION_CACHE_SIZ']), [
    'DATABSE_URL is not a setting. Did you mean DATABASE_URL?',
    'JWT_SECRT is not a setting. Did you mean JWT_SECRET?',
    'CORS_ORIGINS is not a setting. Did you mean CORS_ORIGIN?',
    'PORTS is not a setting. Did you mean PORT?',
    'SESION_CACHE_SIZ is not a setting. Did you mean SESSION_CACHE_SIZE?'
  ], 'POTR, at a distance of two, is too short to tell')
})

test('settings and unrelated variables are not warned of', async t => {
  t.strictSame(misspeltSettings(Object.keys(settings.properties)), [])
  t.strictSame(misspeltSettings([
    'PATH', 'HOME', 'HOSTNAME', 'USER', 'PWD', 'SHELL', 'LANG', 'TERM', 'EDITOR', 'NODE_ENV', 'NODE_OPTIONS', 'DEBUG', 'TZ',
    'npm_config_port', 'npm_lifecycle_event', 'UV_THREADPOOL_SIZE', 'PGHOST', 'PGPORT', 'POSTGRES_USER', 'database_url', '_', ''
  ]), [])
})
