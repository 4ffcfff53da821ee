import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { developmentFaults } from './development-faults.ts'
import { factorFaults } from './factor-settings.ts'
import type { SettingOptions } from './setting-types.ts'
import { type Settings, settings } from './settings.ts'

/**
 * The settings, with the two that may be absent, which development mode generates. If only JWT_KEYS_FILE and
 * REFRESH_SECRET are set, JWT_SECRET is a copy of REFRESH_SECRET and signs nothing.
 */
export type Config = Settings & { DATABASE_URL: string, JWT_SECRET: string }

/** Every invalid setting, one per line: its name and what is expected, never the value, which may be a secret. */
export class ConfigError extends Error {
  readonly faults: string[]

  constructor (faults: string[]) {
    super(['Invalid configuration:', ...faults.map(fault => `  - ${fault}`)].join('\n'))
    this.faults = faults
  }
}

export type SettingSchema = TSchema & SettingOptions

/** Every setting by name. */
export const settingSchemas: ReadonlyMap<string, SettingSchema> = new Map(
  // The constructors of setting-types.ts accept only schemas with SettingOptions, but TypeBox's types omit them.
  Object.entries<TSchema>(settings.properties).map(([name, schema]) => [name, schema as SettingSchema]))

/** Development mode is the absence of DATABASE_URL. A flag of its own could contradict it. */
export const isDevelopment = (from: Pick<Settings, 'DATABASE_URL'>): boolean => from.DATABASE_URL === undefined

/**
 * Reads the settings. An empty variable counts as absent, because compose files pass unset variables that way.
 * @param env name to text, such as process.env
 * @throws ConfigError with every fault
 */
export function readSettings (env: Record<string, string | undefined>): Settings {
  const development = !env['DATABASE_URL']
  const values: Record<string, unknown> = {}
  for (const [name, schema] of settingSchemas) {
    const given = env[name]
    const initial: unknown = (development ? schema.development : undefined) ?? schema.derive?.(values) ?? schema.default
    const value: unknown = given ? parse(schema, given) : initial
    if (value !== undefined) values[name] = value
  }
  const faulty = new Set([...Value.Errors(settings, values)].map(error => String(error.path.split('/')[1])))
  if (!development && !env['JWT_SECRET']) {
    // Signing keys are replaced over time. Refresh tokens need a secret that outlives them.
    const missing = env['JWT_KEYS_FILE'] ? 'REFRESH_SECRET' : 'JWT_SECRET'
    if (!env[missing]) faulty.add(missing)
  }
  if (values['MAIL_URL'] !== undefined && !faulty.has('MAIL_URL')) {
    for (const name of ['MAIL_FROM', 'PUBLIC_URL']) if (values[name] === undefined) faulty.add(name)
  }
  const faults = [...faulty].map(name => `${name} must be ${settingSchemas.get(name)?.expected}`)
  // Otherwise nobody would be asked to verify an address, and nobody would have to.
  if (values['EMAIL_VERIFICATION'] === 'required' && values['MAIL_URL'] === undefined) {
    faults.push('MAIL_URL must be set if EMAIL_VERIFICATION is required')
  }
  if (!development && faults.length === 0) faults.push(...factorFaults(env))
  if (development) faults.push(...developmentFaults(env))
  if (faults.length > 0) throw new ConfigError(faults)
  return Value.Decode(settings, values)
}

/** The secrets of refresh tokens. The first one signs the tokens of new sessions. */
export const refreshSecrets = (config: Config): [string, ...string[]] => config.REFRESH_SECRET === undefined
  ? [config.JWT_SECRET, ...config.REFRESH_SECRET_ACCEPTED, ...config.JWT_SECRET_ACCEPTED]
  : [config.REFRESH_SECRET, ...config.REFRESH_SECRET_ACCEPTED]

function parse (schema: SettingSchema, given: string): unknown {
  if (given === 'auto' && schema.auto !== undefined) return schema.auto
  if (schema['type'] === 'integer') return /^-?\d{1,15}$/.test(given) ? Number(given) : given
  // Not trimmed: a secret may begin or end with a space.
  if (schema.lines) return given.split(/\r?\n/).filter(item => item !== '')
  if (schema['type'] === 'array') return given.split(',').map(item => item.trim()).filter(item => item !== '')
  return given
}
