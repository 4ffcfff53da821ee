import { isIP } from 'node:net'
import { FormatRegistry, type SchemaOptions, Type } from '@sinclair/typebox'

// The kinds of settings that src/settings.ts is made of.

FormatRegistry.Set('secret', text => Buffer.byteLength(text) >= 32)
FormatRegistry.Set('postgres-url', text => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('http-url', text => /^https?:\/\//.test(text) && URL.canParse(text))
FormatRegistry.Set('redis-url', text => /^rediss?:\/\//.test(text) && URL.canParse(text))
// The names are those of the package proxy-addr, which Fastify reads the list with. `true` and a number of hops, which
// it takes too, would believe whatever address a client claims.
FormatRegistry.Set('proxy', text => {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0) return ['loopback', 'linklocal', 'uniquelocal'].includes(text)
  return bits === undefined || (rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
})
FormatRegistry.Set('origin', text => text === '*' || (URL.canParse(text) && new URL(text).origin === text))

/** What a setting's schema says beside its type, for the messages, the README and .env.example. */
export interface About extends SchemaOptions {
  description: string
  /** what a right value looks like, to follow "must be" */
  wants: string
  default?: unknown
  /** the default without DATABASE_URL, where it differs */
  playground?: unknown
  /** a list with an item on each line, instead of commas between them */
  lines?: true
}

/** @param initial the default */
export const whole = (minimum: number, maximum: number, initial: number, description: string) => {
  const about: About = { description, wants: `a whole number from ${minimum} to ${maximum}`, default: initial }
  return Type.Integer({ minimum, maximum, ...about })
}

export const text = (about: About) => Type.String({ minLength: 1, ...about })

/** Secrets, one a line: there is nothing else that none of them can hold. */
export const secrets = (description: string) => Type.Array(Type.String({ format: 'secret' }), {
  description,
  wants: 'secrets of at least 32 bytes, one a line',
  lines: true,
  default: []
} satisfies About)

export const literals = <const T extends string>(names: readonly T[], about: Partial<About> = {}) =>
  Type.Unsafe<T>(Type.Union(names.map(name => Type.Literal(name)), { ...about, wants: `one of ${names.join(', ')}` }))
