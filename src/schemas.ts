import { type Static, Type } from '@sinclair/typebox'
import { authority, isRole, type Role, roles } from './access.ts'
import { ApiError } from './errors.ts'

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
  maxLength: 64,
  description: '3 to 64 letters, digits, dots, underscores or hyphens',
  examples: ['alice']
})

export const Email = Type.String({
  pattern: EMAIL,
  maxLength: 254,
  description: 'an e-mail address of at most 254 characters',
  examples: ['alice@example.com']
})

/** @param least fewest characters (PASSWORD_MIN_LENGTH) */
export const newPassword = (least: number) => Type.String({
  pattern: WELL_FORMED,
  minLength: least,
  maxLength: 256,
  description: `${least} to 256 characters`,
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

// The bounds and examples of what is answered are for readers of the API's description; nothing is judged by them.

export const AccessToken = Type.String({ maxLength: 4096, pattern: '^[\\w-]+(\\.[\\w-]+){2}$', examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxIn0.c2ln'] })

export const RefreshToken = Type.String({ maxLength: 512, pattern: '^[\\w.-]+$', examples: ['AQAAAAAAAAABAZq1'] })

export const Time = Type.String({ format: 'date-time', maxLength: 24, examples: ['2026-11-23T12:00:00.000Z'] })

export const Address = Type.String({ maxLength: 45, pattern: '^[0-9a-f.:]+$', examples: ['203.0.113.7'] })

export const Tokens = { accessToken: AccessToken, refreshToken: RefreshToken }

export const UserId = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'a whole number above 0',
  examples: [1]
})

// Whatever is missing is the route's own 403, so the schema lets it pass: no body, no field, null.
export const RefreshTokenBody = Type.Union([
  Type.Object({
    refreshToken: Type.Optional(Type.Union([Type.String({ maxLength: 16384, description: 'a text', examples: RefreshToken.examples }), Type.Null()]))
  }, { additionalProperties: false }),
  Type.Null()
])

/** @throws ApiError REFRESH_TOKEN_MISSING */
export function shownToken (body: Static<typeof RefreshTokenBody>): string {
  if (typeof body?.refreshToken !== 'string') throw new ApiError('REFRESH_TOKEN_MISSING')
  return body.refreshToken
}

/** The id of the last item of the page before. */
export const Cursor = Type.Optional(Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'the number that the page before gave as next'
}))

export const SearchText = Type.Optional(Type.String({
  pattern: WELL_FORMED,
  maxLength: 254,
  description: 'a text of at most 254 characters'
}))

export const PageSize = Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'a whole number from 1 to 100' })

/** The cursor of the page after this one: null where a page came out short, and so is the last. */
export const nextCursor = (page: ReadonlyArray<{ id: number }>, limit: number): number | null =>
  page[limit - 1]?.id ?? null

export const Next = Type.Union([UserId, Type.Null()], { description: 'give it as after for the next page; null: there is none' })

/** Role names as a request gives them: `user`. Whether a name is a role is asked by `toRoles`. */
export const RoleList = (most: number) => Type.Array(Type.String({ maxLength: 64, description: 'the name of a role' }), {
  maxItems: most,
  description: `a list of at most ${most} role names`,
  examples: [['user']]
})

/** The roles of a request, each once, in their order. @throws ApiError ROLE_UNKNOWN */
export function toRoles (names: readonly string[]): Role[] {
  const unknown = names.find(name => !isRole(name))
  if (unknown !== undefined) throw new ApiError('ROLE_UNKNOWN', unknown)
  return roles.filter(role => names.includes(role))
}

/** Roles as front-ends know them: `ROLE_USER`. */
export const Authorities = Type.Array(Type.String({ enum: roles.map(authority) }), { maxItems: roles.length, examples: [roles.map(authority)] })

export const Message = (text: string) => Type.Object({ message: Type.String({ enum: [text], examples: [text] }) })

/** The text boards. */
export const Text = (text: string) => Type.String({ enum: [text], examples: [text] })

export const UserReply = Type.Object({
  id: UserId,
  username: Username,
  email: Email,
  roles: Authorities,
  created: Time
})

/** An account as moderators and admins see it. */
export const AccountReply = Type.Object({ ...UserReply.properties, disabled: Type.Boolean({ examples: [false] }) })

export interface Account {
  id: number
  username: string
  email: string
  roles: readonly Role[]
  createdAt: Date
  disabled: boolean
}

/** An account as the API shows it; a reply's schema leaves out what it does not name. */
export const toAccountReply = (account: Account) => ({
  id: account.id,
  username: account.username,
  email: account.email,
  roles: account.roles.map(authority),
  created: account.createdAt.toISOString(),
  disabled: account.disabled
})
