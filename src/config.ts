import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { type Settings, settings } from './settings.ts'

/**
 * Settings with the two that the playground makes for itself. JWT_SECRET is REFRESH_SECRET where JWT_KEYS signs and
 * there is no other: then it is not used.
 */
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
  if (!playground && !env['JWT_SECRET']) {
    // The keys of JWT_KEYS come and go; refresh tokens need something that stays.
    const missing = env['JWT_KEYS'] ? 'REFRESH_SECRET' : 'JWT_SECRET'
    if (!env[missing]) faulty.add(missing)
  }
  if (faulty.size > 0) throw new ConfigError([...faulty].map(describeFault))
  return Value.Decode(settings, values)
}

/** The secrets of refresh tokens: the first signs those of new sessions. */
export const refreshSecrets = (config: Config): [string, ...string[]] => config.REFRESH_SECRET === undefined
  ? [config.JWT_SECRET, ...config.REFRESH_SECRET_ACCEPTED, ...config.JWT_SECRET_ACCEPTED]
  : [config.REFRESH_SECRET, ...config.REFRESH_SECRET_ACCEPTED]

function parse (schema: TSchema, given: string): unknown {
  if (given === 'auto' && schema['auto'] !== undefined) return schema['auto']
  if (schema['type'] === 'integer') return /^-?\d{1,15}$/.test(given) ? Number(given) : given
  // A secret may begin or end with a space, and hold commas.
  if (schema['lines']) return given.split(/\r?\n/).filter(item => item !== '')
  if (schema['type'] === 'array') return given.split(',').map(item => item.trim()).filter(item => item !== '')
  return given
}

function describeFault (name: string): string {
  const schema: TSchema | undefined = Object.entries<TSchema>(settings.properties).find(([key]) => key === name)?.[1]
  return `${name} must be ${schema?.['wants']}`
}
