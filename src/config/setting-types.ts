import { isIP } from 'node:net'
import { FormatRegistry, type SchemaOptions, Type } from '@sinclair/typebox'
import { isStrongKey, KEY_RULE } from './key-strength.ts'
import { isStrongSecret, SECRET_RULE } from './secret-strength.ts'

// The types of settings that settings.ts and the files *-settings.ts are made of.

FormatRegistry.Set('secret', isStrongSecret)
FormatRegistry.Set('encryption-key', isStrongKey)
FormatRegistry.Set('postgres-url', text => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('http-url', text => /^https?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('link-url', text => /^https?:\/\//.test(text) && URL.canParse(text) && !text.includes('#'))
FormatRegistry.Set('redis-url', text => /^rediss?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('origin', text =>
  ['*', 'localhost'].includes(text) || (URL.canParse(text) && new URL(text).origin === text))
// The range names are those of proxy-addr, which Fastify uses. It also takes `true` and a number of hops, but either
// would let a client forge its address.
FormatRegistry.Set('proxy', text => {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0) return ['loopback', 'linklocal', 'uniquelocal'].includes(text)
  if (bits === undefined) return true
  return rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
})

/** The options of a setting, for error messages, docs/configuration.md and .env.example. */
export interface SettingOptions extends SchemaOptions {
  description: string
  /** completes "must be" in an error message */
  expected: string
  default?: unknown
  /** the default in development mode, if it differs */
  development?: unknown
  /** a list has one item per line instead of separating them by commas */
  lines?: true
  /** computes the default from the settings read so far */
  derive?: (values: Readonly<Record<string, unknown>>) => unknown
  /** describes a default that `derive` computes */
  defaultText?: string
  /** the value of the word `auto` */
  auto?: unknown
}

/**
 * @param initial the default
 * @param unit such as `seconds`; every duration and size has one
 */
export function integer (minimum: number, maximum: number, initial: number, description: string, unit?: string) {
  const expected = `a whole number${unit === undefined ? '' : ` of ${unit}`} from ${minimum} to ${maximum}`
  const options: SettingOptions = { description, expected, default: initial }
  return Type.Integer({ minimum, maximum, ...options })
}

export const seconds = (minimum: number, maximum: number, initial: number, description: string) =>
  integer(minimum, maximum, initial, description, 'seconds')

export const text = (options: SettingOptions) => Type.String({ minLength: 1, ...options })

export const secret = (description: string) => text({
  description,
  expected: `${SECRET_RULE}; generate one with: openssl rand -base64 48`,
  format: 'secret'
})

/** A list of secrets, one per line: a secret can contain any other separator. */
export const secrets = (description: string) => Type.Array(Type.String({ format: 'secret' }), {
  description,
  expected: `secrets, one per line, each of ${SECRET_RULE}`,
  lines: true,
  default: []
} satisfies SettingOptions)

/** A list of encryption keys, which contain no comma. */
export const encryptionKeys = (description: string) => Type.Array(Type.String({ format: 'encryption-key' }), {
  description,
  expected: `a comma-separated list of keys, each of ${KEY_RULE}; generate one with: openssl rand -base64 32`,
  default: []
} satisfies SettingOptions)

export function oneOf<const T extends string> (names: readonly T[], options: Partial<SettingOptions> = {}) {
  const expected = `one of ${names.join(', ')}`
  return Type.Unsafe<T>(Type.Union(names.map(name => Type.Literal(name)), { ...options, expected }))
}
