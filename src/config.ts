import { availableParallelism } from 'node:os'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { roles } from './access.ts'
import { COSTLIEST } from './passwords.ts'
import { type About, literals, text, whole } from './setting.ts'

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
  HOST: text({
    description: 'Address to listen on.',
    wants: 'an address or a host name',
    default: '0.0.0.0',
    playground: 'localhost'
  }),
  PORT: whole(0, 65535, 8080, 'Port to listen on; 0 takes a free one.'),
  WORKERS: {
    ...whole(1, 256, 1, 'Processes that share the port; `auto` is one for each core.'),
    wants: 'a whole number from 1 to 256, or auto',
    auto: Math.min(256, availableParallelism())
  },
  LOG_LEVEL: literals(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'Least severe log line that is written; `debug` adds a line per request.',
    default: 'info'
  }),
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
  DATA_DIR: text({
    description: 'Folder of the playground: its PostgreSQL and its secret.',
    wants: 'a path',
    default: '.gatehouse'
  }),
  JWT_SECRET: Type.Optional(text({
    description: 'Secret that signs access tokens (HS256) and, through HKDF, refresh tokens. Required with ' +
      'DATABASE_URL; the playground makes its own.',
    wants: 'at least 32 bytes; make one with: openssl rand -base64 48',
    format: 'secret'
  })),
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

/** Settings with the two that the playground makes for itself. */
export type Config = Settings & { DATABASE_URL: string, JWT_SECRET: string }

/** All that is wrong with the settings, a line each: name and mend, never the value, which may be a secret. */
export class ConfigError extends Error {
  readonly faults: string[]

  constructor (faults: string[]) {
    super(['The settings are not right:', ...faults.map(fault => `  - ${fault}`)].join('\n'))
    this.faults = faults
  }
}

/** Without DATABASE_URL the service is a playground: one fact decides, so that no flag can contradict it. */
export const isPlayground = (from: Pick<Settings, 'DATABASE_URL'>): boolean => from.DATABASE_URL === undefined

/**
 * Reads the settings. An empty variable counts as absent, as compose files write it.
 * @param env name to text, as in process.env
 * @throws ConfigError with every fault at once
 */
export function readSettings (env: Record<string, string | undefined>): Settings {
  const playground = !env['DATABASE_URL']
  const values: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries<TSchema>(settings.properties)) {
    const given = env[name]
    const fallback: unknown = (playground ? schema['playground'] : undefined) ?? schema['derive']?.(values) ?? schema.default
    const value = given ? parse(schema, given) : fallback
    if (value !== undefined) values[name] = value
  }
  const faulty = new Set([...Value.Errors(settings, values)].map(error => String(error.path.split('/')[1])))
  if (!playground && !env['JWT_SECRET']) faulty.add('JWT_SECRET')
  if (faulty.size > 0) throw new ConfigError([...faulty].map(describeFault))
  return Value.Decode(settings, values)
}

function parse (schema: TSchema, given: string): unknown {
  if (given === 'auto' && schema['auto'] !== undefined) return schema['auto']
  if (schema['type'] === 'integer') return /^-?\d{1,15}$/.test(given) ? Number(given) : given
  if (schema['type'] === 'array') return given.split(',').map(item => item.trim()).filter(item => item !== '')
  return given
}

function describeFault (name: string): string {
  const schema: TSchema | undefined = Object.entries<TSchema>(settings.properties).find(([key]) => key === name)?.[1]
  return `${name} must be ${schema?.['wants']}`
}
