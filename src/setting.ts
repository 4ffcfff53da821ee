import { FormatRegistry, type SchemaOptions, Type } from '@sinclair/typebox'

// The kinds of settings that src/config.ts is made of.

FormatRegistry.Set('secret', text => Buffer.byteLength(text) >= 32)
FormatRegistry.Set('postgres-url', text => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('origin', text => text === '*' || (URL.canParse(text) && new URL(text).origin === text))

/** What a setting's schema says beside its type, for the messages, the README and .env.example. */
export interface About extends SchemaOptions {
  description: string
  /** what a right value looks like, to follow "must be" */
  wants: string
  default?: unknown
  /** the default without DATABASE_URL, where it differs */
  playground?: unknown
}

/** @param initial the default */
export const whole = (minimum: number, maximum: number, initial: number, description: string) => {
  const about: About = { description, wants: `a whole number from ${minimum} to ${maximum}`, default: initial }
  return Type.Integer({ minimum, maximum, ...about })
}

export const text = (about: About) => Type.String({ minLength: 1, ...about })

export const literals = <const T extends string>(names: readonly T[], about: Partial<About> = {}) =>
  Type.Unsafe<T>(Type.Union(names.map(name => Type.Literal(name)), { ...about, wants: `one of ${names.join(', ')}` }))
