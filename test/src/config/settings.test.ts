import { availableParallelism } from 'node:os'
import { test } from 'tap'
import { isDevelopment, readSettings } from '../../../src/config/read-settings.ts'
import { settings } from '../../../src/config/settings.ts'
import { ENCRYPTION_KEYS, faultsOf, KEYS_EXPECTED, OTHER_SECRET, SECRET, SECRET_EXPECTED, SERVICE } from '../../support/settings.ts'

const COMMON = {
  PORT: 8080,
  METRICS_HOST: '127.0.0.1',
  METRICS_PORT: 9464,
  WORKERS: 1,
  LOG_LEVEL: 'info',
  BODY_LIMIT: 16_384,
  MAX_HEADER_SIZE: 16_384,
  REQUEST_TIMEOUT: 5,
  HEADERS_TIMEOUT: 5,
  REQUEST_DEADLINE: 10,
  KEEP_ALIVE_TIMEOUT: 72,
  CONNECTION_TIMEOUT: 30,
  MAX_CONNECTIONS: 20_000,
  MAX_CONNECTIONS_PER_ADDRESS: 1000,
  RATE_LIMIT_REQUESTS: 120_000,
  MAX_EVENT_LOOP_DELAY: 1000,
  MAX_MEMORY_MIB: 0,
  DRAIN_DELAY: 0,
  SHUTDOWN_GRACE: 10,
  DATABASE_POOL_MAX: 10,
  DATABASE_PREPARE: 'on',
  DATABASE_START_TIMEOUT: 30,
  DATABASE_CONNECT_TIMEOUT: 3,
  DATABASE_QUERY_TIMEOUT: 5,
  TRUST_PROXY: [],
  DATA_DIR: '.gatehouse',
  JWT_SECRET_ACCEPTED: [],
  REFRESH_SECRET_ACCEPTED: [],
  ENCRYPTION_KEYS: [],
  JWT_ISSUER: 'gatehouse',
  JWT_AUDIENCE: 'gatehouse',
  JWT_AUDIENCES: [],
  ACCESS_TOKEN_TTL: 3600,
  REFRESH_TOKEN_TTL: 86400,
  REFRESH_IDLE_TTL: 0,
  REFRESH_ROTATION: 'lenient',
  REFRESH_GRACE: 10,
  REAUTHENTICATION_WITHIN: 600,
  MAX_SESSIONS_PER_USER: 50,
  MAX_API_KEYS: 100,
  INTROSPECTION_ROLES: ['admin'],
  RATE_LIMIT_INTROSPECTION: 60_000,
  SESSION_CACHE: 'on',
  SESSION_CACHE_SIZE: 50_000,
  SESSION_CACHE_HEARTBEAT: 1,
  HOUSEKEEPING_INTERVAL: 60,
  AUDIT_RETENTION: 0,
  PASSWORD_MIN_LENGTH: 8,
  PRODUCT_NAME: 'gatehouse',
  MAIL_RECIPIENT_LIMIT: 5,
  EMAIL_VERIFICATION: 'optional',
  UNVERIFIED_TTL: 604800,
  RATE_LIMIT_EMAIL: 20,
  SECOND_FACTOR: 'optional',
  PASSKEY_ORIGINS: [],
  MAX_PASSKEYS: 20,
  SIGNIN_MAX_FAILURES: 10,
  SIGNIN_DELAY: 30,
  SIGNIN_DELAY_MAX: 900,
  RATE_LIMIT_SIGNUP: 300,
  RATE_LIMIT_SIGNIN: 600,
  RATE_LIMIT_SIGNIN_FAILURES: 60,
  RATE_LIMIT_REFRESH: 600,
  USER_SEARCH: 'auto',
  ARGON2_MEMORY_KIB: 19456,
  ARGON2_TIME: 2,
  ARGON2_CONCURRENCY: Math.min(3, availableParallelism()),
  ARGON2_QUEUE: 128
}

test('with DATABASE_URL, the service is reachable from outside and sign-up gives only the role user', async t => {
  t.strictSame(readSettings(SERVICE), {
    ...COMMON,
    ...SERVICE,
    HOST: '0.0.0.0',
    PASSWORD_BLOCKLIST: 'on',
    SIGNUP_ROLES: ['user'],
    CORS_ORIGIN: [],
    DOCS: 'off'
  })
  t.equal(isDevelopment(readSettings(SERVICE)), false)
})

test('without DATABASE_URL, development mode is reachable from this machine only and opens every role to sign-up', async t => {
  t.strictSame(readSettings({}), {
    ...COMMON,
    HOST: 'localhost',
    MAIL_URL: 'files',
    MAIL_FROM: 'gatehouse@localhost',
    PUBLIC_URL: 'http://localhost:8080',
    PASSWORD_BLOCKLIST: 'off',
    SIGNUP_ROLES: ['user', 'moderator', 'admin'],
    CORS_ORIGIN: ['localhost'],
    DOCS: 'on'
  })
  t.equal(isDevelopment(readSettings({})), true)
})

test('every setting is read from text', async t => {
  const given = {
    HOST: '127.0.0.1',
    PORT: '0',
    METRICS_HOST: '0.0.0.0',
    METRICS_PORT: '0',
    WORKERS: '2',
    TRUST_PROXY: '10.0.0.0/8, ::1,loopback',
    LOG_LEVEL: 'silent',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
    BODY_LIMIT: '4096',
    MAX_HEADER_SIZE: '8192',
    REQUEST_TIMEOUT: '10',
    HEADERS_TIMEOUT: '3',
    REQUEST_DEADLINE: '20',
    KEEP_ALIVE_TIMEOUT: '60',
    CONNECTION_TIMEOUT: '10',
    MAX_CONNECTIONS: '100',
    MAX_CONNECTIONS_PER_ADDRESS: '50',
    RATE_LIMIT_REQUESTS: '6000',
    MAX_EVENT_LOOP_DELAY: '0',
    MAX_MEMORY_MIB: '400',
    DRAIN_DELAY: '5',
    SHUTDOWN_GRACE: '20',
    DATABASE_URL: 'postgresql://localhost/gatehouse',
    DATABASE_POOL_MAX: '20',
    DATABASE_PREPARE: 'off',
    DATABASE_START_TIMEOUT: '0',
    DATABASE_CONNECT_TIMEOUT: '1',
    DATABASE_QUERY_TIMEOUT: '2',
    LISTEN_DATABASE_URL: 'postgresql://localhost:5433/gatehouse',
    REDIS_URL: 'rediss://:word@cache.example.com:6380/1',
    DATA_DIR: '/var/lib/gatehouse',
    JWT_SECRET: SECRET,
    JWT_SECRET_ACCEPTED: ` the first, which begins and ends with a space \n\n${OTHER_SECRET}\r\n`,
    JWT_KEYS_FILE: '/etc/gatehouse/keys.json',
    REFRESH_SECRET: OTHER_SECRET,
    REFRESH_SECRET_ACCEPTED: SECRET,
    ENCRYPTION_KEYS: ENCRYPTION_KEYS.join(', '),
    JWT_ISSUER: 'https://auth.example.com',
    JWT_AUDIENCE: 'shop',
    JWT_AUDIENCES: 'orders, stock',
    ACCESS_TOKEN_TTL: '60',
    REFRESH_TOKEN_TTL: '31536000',
    REFRESH_IDLE_TTL: '1800',
    REFRESH_ROTATION: 'strict',
    REFRESH_GRACE: '0',
    REAUTHENTICATION_WITHIN: '0',
    MAX_SESSIONS_PER_USER: '1',
    MAX_API_KEYS: '5',
    INTROSPECTION_ROLES: 'moderator, admin',
    RATE_LIMIT_INTROSPECTION: '0',
    SESSION_CACHE: 'off',
    SESSION_CACHE_SIZE: '1000',
    SESSION_CACHE_HEARTBEAT: '5',
    HOUSEKEEPING_INTERVAL: '0',
    AUDIT_RETENTION: '365',
    PASSWORD_MIN_LENGTH: '15',
    PASSWORD_BLOCKLIST: 'off',
    PASSWORD_BREACHED_DIR: '/breached',
    MAIL_URL: 'smtps://user:p%40ss@mail.example.com:465',
    MAIL_FROM: 'Example <accounts@example.com>',
    PUBLIC_URL: 'https://example.com/auth',
    PRODUCT_NAME: 'Shop & Co',
    MAIL_TEMPLATES: '/templates',
    MAIL_RECIPIENT_LIMIT: '0',
    EMAIL_VERIFICATION: 'required',
    UNVERIFIED_TTL: '86400',
    RATE_LIMIT_EMAIL: '5',
    MAIL_LINK_VERIFICATION: 'https://app.example.com/welcome',
    MAIL_LINK_EMAIL_CHANGE: 'https://app.example.com/confirm',
    MAIL_LINK_PASSWORD_RESET: 'https://app.example.com/reset',
    MAIL_LINK_UNDO: 'https://app.example.com/undo',
    SECOND_FACTOR: 'admins',
    PASSKEY_RP_ID: 'example.com',
    PASSKEY_ORIGINS: 'https://app.example.com, android:apk-key-hash:Zk3vQ1t8mJx0PpYwR5uHbN2cLdE7sGfA9iKoTyXhVqM',
    MAX_PASSKEYS: '5',
    SIGNIN_MAX_FAILURES: '5',
    SIGNIN_DELAY: '1',
    SIGNIN_DELAY_MAX: '60',
    RATE_LIMIT_SIGNUP: '0',
    RATE_LIMIT_SIGNIN: '0',
    RATE_LIMIT_SIGNIN_FAILURES: '0',
    RATE_LIMIT_REFRESH: '0',
    SIGNUP_ROLES: 'user, moderator,',
    CORS_ORIGIN: ' https://app.example.com ,http://localhost:3000',
    USER_SEARCH: 'exact',
    DOCS: 'off',
    ARGON2_MEMORY_KIB: '65536',
    ARGON2_TIME: '3',
    ARGON2_CONCURRENCY: '1',
    ARGON2_QUEUE: '0'
  }
  t.strictSame(Object.keys(given), Object.keys(settings.properties), 'this test has every setting')
  t.strictSame(readSettings(given), {
    ...given,
    PORT: 0,
    METRICS_PORT: 0,
    WORKERS: 2,
    TRUST_PROXY: ['10.0.0.0/8', '::1', 'loopback'],
    BODY_LIMIT: 4096,
    MAX_HEADER_SIZE: 8192,
    REQUEST_TIMEOUT: 10,
    HEADERS_TIMEOUT: 3,
    REQUEST_DEADLINE: 20,
    KEEP_ALIVE_TIMEOUT: 60,
    CONNECTION_TIMEOUT: 10,
    MAX_CONNECTIONS: 100,
    MAX_CONNECTIONS_PER_ADDRESS: 50,
    RATE_LIMIT_REQUESTS: 6000,
    MAX_EVENT_LOOP_DELAY: 0,
    MAX_MEMORY_MIB: 400,
    DRAIN_DELAY: 5,
    SHUTDOWN_GRACE: 20,
    JWT_SECRET_ACCEPTED: [' the first, which begins and ends with a space ', OTHER_SECRET],
    REFRESH_SECRET_ACCEPTED: [SECRET],
    DATABASE_POOL_MAX: 20,
    DATABASE_START_TIMEOUT: 0,
    DATABASE_CONNECT_TIMEOUT: 1,
    DATABASE_QUERY_TIMEOUT: 2,
    ENCRYPTION_KEYS,
    JWT_AUDIENCES: ['orders', 'stock'],
    ACCESS_TOKEN_TTL: 60,
    REFRESH_TOKEN_TTL: 31536000,
    REFRESH_IDLE_TTL: 1800,
    REFRESH_GRACE: 0,
    REAUTHENTICATION_WITHIN: 0,
    MAX_SESSIONS_PER_USER: 1,
    MAX_API_KEYS: 5,
    INTROSPECTION_ROLES: ['moderator', 'admin'],
    RATE_LIMIT_INTROSPECTION: 0,
    SESSION_CACHE_SIZE: 1000,
    SESSION_CACHE_HEARTBEAT: 5,
    HOUSEKEEPING_INTERVAL: 0,
    AUDIT_RETENTION: 365,
    PASSWORD_MIN_LENGTH: 15,
    PASSWORD_BREACHED_DIR: '/breached',
    MAIL_RECIPIENT_LIMIT: 0,
    EMAIL_VERIFICATION: 'required',
    UNVERIFIED_TTL: 86400,
    RATE_LIMIT_EMAIL: 5,
    MAIL_LINK_VERIFICATION: 'https://app.example.com/welcome',
    MAIL_LINK_EMAIL_CHANGE: 'https://app.example.com/confirm',
    MAIL_LINK_PASSWORD_RESET: 'https://app.example.com/reset',
    MAIL_LINK_UNDO: 'https://app.example.com/undo',
    PASSKEY_ORIGINS: ['https://app.example.com', 'android:apk-key-hash:Zk3vQ1t8mJx0PpYwR5uHbN2cLdE7sGfA9iKoTyXhVqM'],
    MAX_PASSKEYS: 5,
    SIGNIN_MAX_FAILURES: 5,
    SIGNIN_DELAY: 1,
    SIGNIN_DELAY_MAX: 60,
    RATE_LIMIT_SIGNUP: 0,
    RATE_LIMIT_SIGNIN: 0,
    RATE_LIMIT_SIGNIN_FAILURES: 0,
    RATE_LIMIT_REFRESH: 0,
    SIGNUP_ROLES: ['user', 'moderator'],
    CORS_ORIGIN: ['https://app.example.com', 'http://localhost:3000'],
    ARGON2_MEMORY_KIB: 65536,
    ARGON2_TIME: 3,
    ARGON2_CONCURRENCY: 1,
    ARGON2_QUEUE: 0
  })
})

const SECRETS_EXPECTED = 'secrets, one per line, each of at least 32 bytes with 10 different characters, not repetitive ' +
  'and not an example'

test('each fault names its setting and what is expected', async t => {
  const cases: Array<[name: string, expected: string, ...wrong: string[]]> = [
    ['PORT', 'a whole number from 0 to 65535', '65536', '-1', '80.5', '1e3', '0x50', 'http', ' 80', '9'.repeat(30)],
    ['TRUST_PROXY', 'a comma-separated list of addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal',
      'true', '1', '*', 'proxy.example.com', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/', '10.0.0.0/-1', '300.0.0.1', '10.0.0.1,true'],
    ['REDIS_URL', 'a Redis URL such as redis://:password@host:6379/0', 'localhost:6379', 'http://localhost'],
    ['LISTEN_DATABASE_URL', 'a PostgreSQL URL such as postgres://user:password@host:5432/database', 'localhost'],
    ['SESSION_CACHE', 'one of on, off', 'yes'],
    ['SECOND_FACTOR', 'one of optional, admins, everybody', 'on', 'required', 'Admins'],
    ['PASSKEY_RP_ID', 'a domain such as example.com', 'https://example.com', 'example.com:8443', 'example.com/auth', 'Example.com', 'a b', ' '],
    ['PASSKEY_ORIGINS', 'a comma-separated list of origins such as https://app.example.com (no path) or android:apk-key-hash:HASH',
      'app.example.com', 'https://app.example.com/', 'https://app.example.com/login', 'ftp://app.example.com', '*', 'null',
      'android:apk-key-hash:x', 'android:apk-key-hash:Zk3vQ1t8mJx0PpYwR5uHbN2cLdE7sGfA9iKoTyXhVqM=', 'https://app.example.com,x'],
    ['MAX_PASSKEYS', 'a whole number from 1 to 100', '0', '101', 'many'],
    ['SESSION_CACHE_HEARTBEAT', 'a whole number of seconds from 1 to 60', '0', '0.5'],
    ['PASSWORD_BLOCKLIST', 'one of on, off', 'true'],
    ['PASSWORD_MIN_LENGTH', 'a whole number of characters from 1 to 128', '0', '129'],
    ['MAIL_URL', 'a URL such as smtps://user:password@mail.example.com or smtp://user:password@mail.example.com:587 (no path), ' +
      'or files', 'mail.example.com', 'http://mail.example.com', 'smtp://', 'smtp://host/path', 'smtp://host?secure=no',
    'smtp://host#x', 'smtp://a%:b@host', 'file'],
    ['MAIL_FROM', 'an address, or a name followed by an address in angle brackets', 'nobody', 'a@b@c',
      'A <a@example.com', '<a@example.com>', 'a@example.com, b@example.com', 'A "B" <a@example.com>', `${'a'.repeat(250)}@b.de`],
    ['PUBLIC_URL', 'a URL such as https://auth.example.com, without a trailing slash', 'auth.example.com',
      'https://auth.example.com/', 'https://auth.example.com?a', 'https://auth.example.com#a', 'https://u@auth.example.com'],
    ['PRODUCT_NAME', 'a name of at most 64 characters', 'a\nb', 'a'.repeat(65)],
    ['MAIL_RECIPIENT_LIMIT', 'a whole number from 0 to 1000', '-1'],
    ['EMAIL_VERIFICATION', 'one of off, optional, required', 'on'],
    ['MAIL_LINK_UNDO', 'a URL such as https://app.example.com/page (no fragment)', 'app.example.com', 'https://app.example.com/#/undo'],
    ['MAX_SESSIONS_PER_USER', 'a whole number from 1 to 10000', '0'],
    ['MAX_API_KEYS', 'a whole number from 1 to 10000', '0', '10001'],
    ['INTROSPECTION_ROLES', 'a comma-separated list of user, moderator, admin', 'root', ' , '],
    ['RATE_LIMIT_INTROSPECTION', 'a whole number from 0 to 10000000', '-1'],
    ['WORKERS', 'a whole number from 1 to 256, or auto', '0', '257', 'AUTO', 'many'],
    ['LOG_LEVEL', 'one of fatal, error, warn, info, debug, trace, silent', 'loud', 'INFO'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'a URL such as http://collector:4318', 'collector:4318', 'grpc://collector:4317'],
    ['BODY_LIMIT', 'a whole number of bytes from 2048 to 1048576', '2047', '16k'],
    ['DRAIN_DELAY', 'a whole number of seconds from 0 to 300', '-1', '301'],
    ['DATABASE_URL', 'a PostgreSQL URL such as postgres://user:password@host:5432/database', 'mysql://localhost/x',
      'localhost:5432', 'postgres://user:pass word@:x', 'Host=db;Password=x'],
    ['DATABASE_POOL_MAX', 'a whole number from 1 to 1000', '0', '1001'],
    ['DATABASE_PREPARE', 'one of on, off', 'true', '0'],
    ['DATABASE_START_TIMEOUT', 'a whole number of seconds from 0 to 3600', '-1', '3601'],
    ['DATABASE_CONNECT_TIMEOUT', 'a whole number of seconds from 1 to 60', '0', '61'],
    ['DATABASE_QUERY_TIMEOUT', 'a whole number of seconds from 1 to 60', '0', '61'],
    ['JWT_SECRET', SECRET_EXPECTED, 'x'.repeat(31), 'changeme'],
    ['JWT_SECRET_ACCEPTED', SECRETS_EXPECTED, 'short', `${SECRET}\nshort`],
    ['REFRESH_SECRET', SECRET_EXPECTED, 'short'],
    ['REFRESH_SECRET_ACCEPTED', SECRETS_EXPECTED, 'short'],
    ['ENCRYPTION_KEYS', KEYS_EXPECTED, 'short', SECRET, `${String(ENCRYPTION_KEYS[0])};${String(ENCRYPTION_KEYS[1])}`],
    ['ACCESS_TOKEN_TTL', 'a whole number of seconds from 1 to 86400', '0', '86401', '1h'],
    ['REFRESH_TOKEN_TTL', 'a whole number of seconds from 1 to 31536000', '0', '31536001'],
    ['REFRESH_IDLE_TTL', 'a whole number of seconds from 0 to 31536000', '-1'],
    ['REFRESH_ROTATION', 'one of lenient, strict, off', 'on', 'true'],
    ['REFRESH_GRACE', 'a whole number of seconds from 0 to 300', '301'],
    ['REAUTHENTICATION_WITHIN', 'a whole number of seconds from 0 to 86400', '-1', '86401', '10m'],
    ['SIGNUP_ROLES', 'a comma-separated list of user, moderator, admin', 'root', 'user,root', 'user;admin', ' , '],
    ['CORS_ORIGIN', 'a comma-separated list of origins such as https://app.example.com (no path), localhost or *',
      'https://app.example.com/', 'app.example.com', 'http://a.example,b'],
    ['USER_SEARCH', 'one of auto, exact', 'prefix', 'off'],
    ['DOCS', 'one of on, off', 'yes'],
    ['ARGON2_MEMORY_KIB', 'a whole number of KiB from 1024 to 262144', '1023', '262145'],
    ['ARGON2_TIME', 'a whole number from 1 to 16', '0', '17'],
    ['ARGON2_CONCURRENCY', 'a whole number from 1 to 1024', '0'],
    ['ARGON2_QUEUE', 'a whole number from 0 to 100000', '-1']
  ]
  for (const [name, expected, ...wrong] of cases) {
    for (const value of wrong) t.strictSame(faultsOf({ ...SERVICE, [name]: value }), [`${name} must be ${expected}`], value)
  }
})

test('MAIL_URL requires MAIL_FROM and PUBLIC_URL, for which development mode has defaults', async t => {
  const MAIL_URL = 'smtp://mail.example.com'
  t.strictSame(faultsOf({ ...SERVICE, MAIL_URL }), [
    'MAIL_FROM must be an address, or a name followed by an address in angle brackets',
    'PUBLIC_URL must be a URL such as https://auth.example.com, without a trailing slash'
  ])
  const { MAIL_FROM, PUBLIC_URL } = readSettings({ MAIL_URL, PORT: '3000' })
  t.strictSame({ MAIL_FROM, PUBLIC_URL }, { MAIL_FROM: 'gatehouse@localhost', PUBLIC_URL: 'http://localhost:3000' })
})

test('WORKERS=auto starts a worker per core, and the workers share the cores for hashing', async t => {
  const cores = availableParallelism()
  t.equal(readSettings({ WORKERS: 'auto' }).WORKERS, cores)
  t.equal(readSettings({ WORKERS: 'auto' }).ARGON2_CONCURRENCY, 1)
  t.equal(readSettings({ WORKERS: '2' }).ARGON2_CONCURRENCY, Math.max(1, Math.floor(cores / 2)))
  t.equal(readSettings({ WORKERS: '256' }).ARGON2_CONCURRENCY, 1, 'at least one hash at a time')
  t.equal(readSettings({ WORKERS: '2', ARGON2_CONCURRENCY: '7' }).ARGON2_CONCURRENCY, 7)
  t.strictSame(faultsOf({ PORT: 'auto' }), ['PORT must be a whole number from 0 to 65535'], 'no other setting takes auto')
})

test('the length of a secret counts bytes, not characters', async t => {
  t.strictSame(faultsOf({ ...SERVICE, JWT_SECRET: 'àáâãäåæçèéêëìíîï' }), [])
  t.equal(faultsOf({ ...SERVICE, JWT_SECRET: 'àáâãäåæçèéêëìíî' }).length, 1)
})

test('CORS_ORIGIN takes the words * and localhost', async t => {
  for (const CORS_ORIGIN of ['*', 'localhost']) t.strictSame(readSettings({ CORS_ORIGIN }).CORS_ORIGIN, [CORS_ORIGIN])
})

test('EMAIL_VERIFICATION=required needs mail', async t => {
  const settings = { DATABASE_URL: 'postgres://localhost/gatehouse', JWT_SECRET: SECRET, EMAIL_VERIFICATION: 'required' }
  t.throws(() => readSettings(settings),
    { message: 'Invalid configuration:\n  - MAIL_URL must be set if EMAIL_VERIFICATION is required' })
  const mail = { MAIL_URL: 'smtps://mail.example.com', MAIL_FROM: 'a@example.com', PUBLIC_URL: 'https://auth.example.com' }
  t.equal(readSettings({ ...settings, ...mail }).EMAIL_VERIFICATION, 'required')
})

test('who must have a second factor must be able to set one up', async t => {
  const settings = { DATABASE_URL: 'postgres://localhost/gatehouse', JWT_SECRET: SECRET, SECOND_FACTOR: 'admins' }
  t.throws(() => readSettings(settings),
    { message: 'Invalid configuration:\n  - ENCRYPTION_KEYS or PASSKEY_RP_ID must be set if SECOND_FACTOR is admins' })
  for (const offer of [
    { ENCRYPTION_KEYS: ENCRYPTION_KEYS.join(',') },
    { PUBLIC_URL: 'https://auth.example.com' },
    { PASSKEY_RP_ID: 'example.com', PASSKEY_ORIGINS: 'https://app.example.com' }
  ]) t.equal(readSettings({ ...settings, ...offer }).SECOND_FACTOR, 'admins')
  t.equal(readSettings({ SECOND_FACTOR: 'everybody' }).SECOND_FACTOR, 'everybody', 'development mode has both')
})

test('the domain of passkeys needs the origins of their pages', async t => {
  const settings = { DATABASE_URL: 'postgres://localhost/gatehouse', JWT_SECRET: SECRET }
  for (const part of [{ PASSKEY_RP_ID: 'example.com' }, { PASSKEY_ORIGINS: 'https://app.example.com' }]) {
    t.throws(() => readSettings({ ...settings, ...part }),
      { message: 'Invalid configuration:\n  - PASSKEY_RP_ID and PASSKEY_ORIGINS must be set together, or PUBLIC_URL' })
    t.equal(readSettings({ ...settings, ...part, PUBLIC_URL: 'https://auth.example.com' }).MAX_PASSKEYS, 20)
  }
})
