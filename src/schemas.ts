import { type TSchema, Type } from '@sinclair/typebox'
import { authority, type Role, roles } from './access.ts'
import { type ErrorCode, refusalOf } from './errors.ts'

// Text that goes on to PostgreSQL or argon2: PostgreSQL refuses NUL (22021), and a lone surrogate has no UTF-8, so
// two different texts would become one.
const WELL_FORMED = '^[^\\u0000\\p{Cs}]*$'

// The HTML standard's idea of an e-mail address (html.spec.whatwg.org, "valid email address"). ASCII only, so that
// folding its case means the same in JavaScript and in every locale of PostgreSQL.
const EMAIL = '^[a-zA-Z0-9.!#$%&\'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?' +
  '(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$'

/** `description` completes "username must be …" in the reply to a bad one. */
export const Username = Type.String({
  pattern: '^[A-Za-z0-9._-]{3,64}$',
  description: '3 to 64 letters, digits, dots, underscores or hyphens',
  examples: ['alice']
})

export const Email = Type.String({
  pattern: EMAIL,
  maxLength: 254,
  description: 'an e-mail address of at most 254 characters',
  examples: ['alice@example.com']
})

export const NewPassword = Type.String({
  pattern: WELL_FORMED,
  minLength: 8,
  maxLength: 256,
  description: '8 to 256 characters',
  examples: ['correct horse']
})

// Sign-in takes what no account can have as well: whether it fits is the database's answer (404, 401), not a 400.
export const GivenUsername = Type.String({
  pattern: WELL_FORMED,
  maxLength: 256,
  description: 'a text of at most 256 characters',
  examples: ['alice']
})

export const GivenPassword = Type.String({
  pattern: WELL_FORMED,
  maxLength: 256,
  description: 'a text of at most 256 characters',
  examples: ['correct horse']
})

export const UserId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'a whole number above 0',
  examples: [1]
})

/** Roles as front-ends know them: `ROLE_USER`. */
export const Authorities = Type.Array(Type.String(), { examples: [roles.map(authority)] })

export const Message = (text: string) => Type.Object({ message: Type.String({ examples: [text] }) })

/** The text boards. */
export const Text = Type.String()

export const UserReply = Type.Object({
  id: UserId,
  username: Type.String(),
  email: Type.String(),
  roles: Authorities,
  created: Type.String({ format: 'date-time' })
})

/** An account as the API shows it. */
export const toUserReply = (user: { id: number, username: string, email: string, roles: Role[], createdAt: Date }) => ({
  id: user.id,
  username: user.username,
  email: user.email,
  roles: user.roles.map(authority),
  created: user.createdAt.toISOString()
})

/** The reply schemas of the given errors, by status. */
export function errorReplies (codes: readonly ErrorCode[]): Record<number, TSchema> {
  const statuses = new Set(codes.map(code => refusalOf(code).status))
  return Object.fromEntries([...statuses].map(status =>
    [status, errorReply(codes.filter(code => refusalOf(code).status === status))]))
}

function errorReply (codes: readonly ErrorCode[]): TSchema {
  const extra = codes.flatMap(code => Object.keys(refusalOf(code).body ?? {}))
  return Type.Object({
    ...Object.fromEntries(extra.map(field => [field, Type.Optional(Type.Null())])),
    message: Type.String(),
    code: Type.String({ enum: [...codes] })
  }, { description: codes.map(code => `${code}: ${refusalOf(code).message}`).join('\n\n') })
}
