import { availableParallelism } from 'node:os'
import { type Static, Type } from '@sinclair/typebox'
import { roles } from './access.ts'
import { COSTLIEST } from './passwords.ts'
import { serverSettings } from './server-settings.ts'
import { type About, literals, secrets, text, whole } from './setting.ts'

/**
 * argon2 runs on libuv's threads, which dns.lookup and fs share. One process has four, and one is left to the others;
 * workers are given as many as they need (src/workers.ts), so there the cores decide.
 */
function hashesAtOnce (workers: unknown): number {
  const cores = availableParallelism()
  return typeof workers === 'number' && workers > 1 ? Math.max(1, Math.floor(cores / workers)) : Math.min(3, cores)
}

/** Every setting, in the order of the README's table. Times are in seconds. */
export const settings = Type.Object({
  ...serverSettings,
  DATABASE_URL: Type.Optional(text({
    description: 'PostgreSQL to use. Without it the service is a playground with a PostgreSQL of its own.',
    wants: 'a PostgreSQL URL such as postgres://user:password@host:5432/database',
    format: 'postgres-url'
  })),
  DATABASE_POOL_MAX: whole(1, 1000, 10, 'Most connections to PostgreSQL of one process.'),
  DATABASE_PREPARE: literals(['on', 'off'], {
    description: 'Named prepared statements. `off` behind a PgBouncer before 1.21 in transaction mode.',
    default: 'on'
  }),
  DATABASE_START_TIMEOUT: whole(0, 3600, 30, 'How long to keep trying for a database that is away at start.'),
  DATABASE_CONNECT_TIMEOUT: whole(1, 60, 3, 'How long a request may wait for a connection.'),
  DATABASE_QUERY_TIMEOUT: whole(1, 60, 5, 'How long a statement may take.'),
  LISTEN_DATABASE_URL: Type.Optional(text({
    description: 'The same database without a transaction pooler in between, to listen for changes of authority. ' +
      'DATABASE_URL if absent.',
    wants: 'a PostgreSQL URL such as postgres://user:password@host:5432/database',
    format: 'postgres-url'
  })),
  REDIS_URL: Type.Optional(text({
    description: 'Redis that counts failed sign-ins and requests. PostgreSQL does if absent.',
    wants: 'a Redis URL such as redis://:password@host:6379/0',
    format: 'redis-url'
  })),
  DATA_DIR: text({
    description: 'Folder of the playground: its PostgreSQL and its secret.',
    wants: 'a path',
    default: '.gatehouse'
  }),
  JWT_SECRET: Type.Optional(text({
    description: 'Secret that signs access tokens (HS256), unless JWT_KEYS does, and, through HKDF, refresh tokens, ' +
      'unless REFRESH_SECRET does. Required with DATABASE_URL, but for both; the playground makes its own.',
    wants: 'at least 32 bytes; make one with: openssl rand -base64 48',
    format: 'secret'
  })),
  JWT_SECRET_ACCEPTED: secrets('Further secrets whose tokens are good, as if each were JWT_SECRET, and which sign ' +
    'nothing: docs/keys.md.'),
  JWT_KEYS: Type.Optional(text({
    description: 'File of private keys, PEM or a JWK Set, that sign access tokens instead of JWT_SECRET: the first ' +
      'signs, all verify. SIGHUP has it read again.',
    wants: 'a path'
  })),
  REFRESH_SECRET: Type.Optional(text({
    description: 'Secret that signs refresh tokens. JWT_SECRET if absent; required where there is none.',
    wants: 'at least 32 bytes; make one with: openssl rand -base64 48',
    format: 'secret'
  })),
  REFRESH_SECRET_ACCEPTED: secrets('Further secrets whose refresh tokens are good: docs/keys.md.'),
  JWT_ISSUER: text({ description: 'The access token\'s `iss`.', wants: 'a name or URL', default: 'gatehouse' }),
  JWT_AUDIENCE: text({ description: 'The access token\'s `aud`.', wants: 'a name or URL', default: 'gatehouse' }),
  ACCESS_TOKEN_TTL: whole(1, 86400, 3600, 'Life of an access token.'),
  REFRESH_TOKEN_TTL: whole(1, 31536000, 86400, 'Life of a session, counted from sign-in; refreshing never moves it.'),
  REFRESH_IDLE_TTL: whole(0, 31536000, 0, 'End a session that has not been refreshed for this long; 0 is never.'),
  REFRESH_ROTATION: literals(['lenient', 'strict', 'off'], {
    description: '`lenient`: a refresh token is good until its successor is used. `strict`: until the grace after ' +
      'its first use. `off`: one fixed token for the whole session.',
    default: 'lenient'
  }),
  REFRESH_GRACE: whole(0, 300, 10, 'How long a superseded refresh token is still answered (a late tab).'),
  MAX_SESSIONS_PER_USER: whole(1, 10000, 50, 'Most sessions of one user; a sign-in beyond them ends the oldest.'),
  AUTHORITY_CACHE: literals(['on', 'off'], {
    description: '`off` asks the database at every guarded request, for engines without LISTEN.',
    default: 'on'
  }),
  AUTHORITY_CACHE_SIZE: whole(1, 10_000_000, 50_000, 'Most sessions whose authority one process remembers.'),
  AUTHORITY_HEARTBEAT: whole(1, 60, 1, 'How often the connection that announces changes is proven alive. Cut off from ' +
    'the database, a process trusts what it remembers for at most this and half a second.'),
  HOUSEKEEPING_INTERVAL: whole(0, 86400, 60, 'How often expired sessions are purged; 0 is never.'),
  PASSWORD_MIN_LENGTH: whole(1, 128, 8, 'Fewest characters of a new password.'),
  PASSWORD_BLOCKLIST: literals(['on', 'off'], {
    description: 'Whether new passwords are refused that are common, or made of the username, the e-mail address or ' +
      'the service\'s name.',
    default: 'on',
    playground: 'off'
  }),
  SIGNIN_MAX_FAILURES: whole(1, 1000, 10, 'Wrong passwords of one account in 24 h before it has to wait.'),
  SIGNIN_DELAY: whole(1, 3600, 30, 'How long it has to wait then before one more try; doubled each time.'),
  SIGNIN_DELAY_MAX: whole(1, 86400, 900, 'The longest such wait.'),
  RATE_LIMIT_SIGNUP: whole(0, 1_000_000, 300, 'Sign-ups a minute from one address; 0 is no limit.'),
  RATE_LIMIT_SIGNIN: whole(0, 1_000_000, 600, 'Sign-ins a minute from one address; 0 is no limit.'),
  RATE_LIMIT_REFRESH: whole(0, 1_000_000, 600, 'Refreshes a minute of one session, and refreshes with no good token ' +
    'from one address; 0 is no limit.'),
  SIGNUP_ROLES: Type.Array(literals(roles), {
    description: 'Roles that anybody may claim at sign-up. An admin\'s token may give any.',
    wants: `a comma-separated list of ${roles.join(', ')}`,
    minItems: 1,
    default: ['user'],
    playground: [...roles]
  } satisfies About),
  CORS_ORIGIN: Type.Array(Type.String({ format: 'origin' }), {
    description: 'Origins whose pages may call the service.',
    wants: 'a comma-separated list of origins such as https://app.example.com (no path), or *',
    minItems: 1,
    default: ['http://localhost:8081']
  } satisfies About),
  DOCS: literals(['on', 'off'], {
    description: 'Whether the API is described at /docs, /docs/json and /docs/yaml.',
    default: 'on'
  }),
  ARGON2_MEMORY_KIB: whole(1024, COSTLIEST.memory, 19456, 'Memory of one password hash, in KiB.'),
  ARGON2_TIME: whole(1, COSTLIEST.time, 2, 'Passes of one password hash over its memory.'),
  ARGON2_CONCURRENCY: {
    ...whole(1, 1024, hashesAtOnce(1), 'Passwords hashed at one time by one process.'),
    derive: (values: Record<string, unknown>) => hashesAtOnce(values['WORKERS']),
    defaultText: 'the cores, at most 3; with WORKERS, its share of them'
  },
  ARGON2_QUEUE: whole(0, 100000, 128, 'Passwords waiting for their turn; more are answered 503.')
})

export type Settings = Static<typeof settings>
