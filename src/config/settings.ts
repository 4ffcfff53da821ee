import { availableParallelism } from 'node:os'
import { type Static, Type } from '@sinclair/typebox'
import { roles } from '../access.ts'
import { MAX_COST } from '../passwords/hash-cost.ts'
import { emailSettings } from './email-settings.ts'
import { factorSettings } from './factor-settings.ts'
import { mailSettings } from './mail-settings.ts'
import { serverSettings } from './server-settings.ts'
import { sessionSettings } from './session-settings.ts'
import { integer, oneOf, seconds, type SettingOptions, text } from './setting-types.ts'

/**
 * argon2 runs on libuv's threads, which dns.lookup and fs share. A single process has four of them and keeps one for
 * the others. Workers get as many threads as they need (src/process/workers.ts), so there the cores set the limit.
 */
function hashConcurrency (workers: unknown): number {
  const cores = availableParallelism()
  return typeof workers === 'number' && workers > 1 ? Math.max(1, Math.floor(cores / workers)) : Math.min(3, cores)
}

/** Every setting, in the order of docs/configuration.md. */
export const settings = Type.Object({
  ...serverSettings,
  DATABASE_URL: Type.Optional(text({
    description: 'PostgreSQL to use. Without it the service runs in development mode, with an embedded PostgreSQL.',
    expected: 'a PostgreSQL URL such as postgres://user:password@host:5432/database',
    format: 'postgres-url'
  })),
  DATABASE_POOL_MAX: integer(1, 1000, 10, 'Maximum number of database connections per process.'),
  DATABASE_PREPARE: oneOf(['on', 'off'], {
    description: 'Named prepared statements. Use `off` behind PgBouncer before 1.21 in transaction mode.',
    default: 'on'
  }),
  DATABASE_START_TIMEOUT: seconds(0, 3600, 30, 'Time to keep trying to reach the database at start.'),
  DATABASE_CONNECT_TIMEOUT: seconds(1, 60, 3, 'Time a request may wait for a database connection.'),
  DATABASE_QUERY_TIMEOUT: seconds(1, 60, 5, 'Time a statement may take.'),
  LISTEN_DATABASE_URL: Type.Optional(text({
    description: 'Direct URL of the same database, to listen for invalidations past a transaction pooler. Defaults ' +
      'to DATABASE_URL. Without a direct connection, every authenticated request queries the database.',
    expected: 'a PostgreSQL URL such as postgres://user:password@host:5432/database',
    format: 'postgres-url'
  })),
  REDIS_URL: Type.Optional(text({
    description: 'Redis to count failed sign-ins and requests in. Without it, PostgreSQL counts them.',
    expected: 'a Redis URL such as redis://:password@host:6379/0',
    format: 'redis-url'
  })),
  DATA_DIR: text({
    description: 'Folder of development mode, for the embedded PostgreSQL and the generated secret, and of mails that ' +
      'are files.',
    expected: 'a path',
    default: '.gatehouse'
  }),
  ...sessionSettings,
  HOUSEKEEPING_INTERVAL: seconds(0, 86400, 60, 'Interval between purges of sessions, counters and other rows ' +
    'that have expired; 0 disables purging.'),
  AUDIT_RETENTION: integer(0, 36500, 0, 'Age at which housekeeping deletes audit events; less than 90 counts as 90, and 0 ' +
    'keeps them.', 'days'),
  PASSWORD_MIN_LENGTH: integer(1, 128, 8, 'Minimum length of a new password.', 'characters'),
  PASSWORD_BLOCKLIST: oneOf(['on', 'off'], {
    description: 'Rejects new passwords that are common, or made of the username, the e-mail address or the name of ' +
      'the service.',
    default: 'on',
    development: 'off'
  }),
  PASSWORD_BREACHED_DIR: Type.Optional(text({
    description: 'Folder of breached passwords, which new passwords must not be among: the public SHA-1 range files, ' +
      '00000.txt to FFFFF.txt.',
    expected: 'a path'
  })),
  ...mailSettings,
  ...emailSettings,
  ...factorSettings,
  SIGNIN_MAX_FAILURES: integer(1, 1000, 10, 'Number of wrong passwords per user within 24 hours before the sign-in ' +
    'throttle delays further attempts.'),
  SIGNIN_DELAY: seconds(1, 3600, 30, 'First delay of the sign-in throttle. It doubles with each further failure.'),
  SIGNIN_DELAY_MAX: seconds(1, 86400, 900, 'Maximum delay of the sign-in throttle.'),
  RATE_LIMIT_SIGNUP: integer(0, 1_000_000, 300, 'Maximum number of sign-ups per minute and address; 0 disables ' +
    'the limit.'),
  RATE_LIMIT_SIGNIN: integer(0, 1_000_000, 600, 'Maximum number of sign-ins per minute and address; 0 disables ' +
    'the limit.'),
  RATE_LIMIT_SIGNIN_FAILURES: integer(0, 1_000_000, 60, 'Maximum number of failed sign-ins per minute and address, over ' +
    'all users, unless they have signed in from there before; 0 disables the limit.'),
  RATE_LIMIT_REFRESH: integer(0, 1_000_000, 600, 'Maximum number of refreshes per minute and session, and of ' +
    'refreshes without a valid token per minute and address; 0 disables the limit.'),
  SIGNUP_ROLES: Type.Array(oneOf(roles), {
    description: 'Roles that anybody may claim at sign-up. An admin may assign any role.',
    expected: `a comma-separated list of ${roles.join(', ')}`,
    minItems: 1,
    default: ['user'],
    development: [...roles]
  } satisfies SettingOptions & { minItems: number }),
  CORS_ORIGIN: Type.Array(Type.String({ format: 'origin' }), {
    description: 'Origins whose pages may call the service. `localhost` is any origin on the local machine, `*` every ' +
      'origin.',
    expected: 'a comma-separated list of origins such as https://app.example.com (no path), localhost or *',
    default: [],
    development: ['localhost']
  } satisfies SettingOptions),
  USER_SEARCH: oneOf(['auto', 'exact'], {
    description: '`auto`: a search of users finds any part of usernames and e-mail addresses. `exact`: only whole ones, ' +
      'without the index for it. See operations.md.',
    default: 'auto'
  }),
  DOCS: oneOf(['on', 'off'], {
    description: 'API description at `/docs`, `/docs/json` and `/docs/yaml`.',
    default: 'off',
    development: 'on'
  }),
  ARGON2_MEMORY_KIB: integer(1024, MAX_COST.memory, 19456, 'Memory of one password hash.', 'KiB'),
  ARGON2_TIME: integer(1, MAX_COST.time, 2, 'Number of passes of one password hash over its memory.'),
  ARGON2_CONCURRENCY: {
    ...integer(1, 1024, hashConcurrency(1), 'Maximum number of password hashes computed at once per process.'),
    derive: (values: Readonly<Record<string, unknown>>) => hashConcurrency(values['WORKERS']),
    defaultText: 'the number of cores, at most 3; with WORKERS, divided among them'
  },
  ARGON2_QUEUE: integer(0, 100000, 128, 'Maximum number of queued password hashes per process. Further requests ' +
    'get 503.')
})

export type Settings = Static<typeof settings>
