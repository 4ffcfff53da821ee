import { Type } from '@sinclair/typebox'

// The fields of requests and responses. In requests, `description` completes an error message: "username must be …".
// In responses, bounds and examples only document the API: responses are not validated.

// PostgreSQL rejects NUL (22021). A lone surrogate has no UTF-8 form, so two different texts would become equal.
export const WELL_FORMED = '^[^\\u0000\\p{Cs}]*$'

// The HTML standard's "valid email address" (html.spec.whatwg.org). ASCII only, so that case folding gives the same
// result in JavaScript and in every locale of PostgreSQL.
export const EMAIL = '^[a-zA-Z0-9.!#$%&\'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?' +
  '(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$'

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

/** @param minLength PASSWORD_MIN_LENGTH */
export const newPassword = (minLength: number) => Type.String({
  pattern: WELL_FORMED,
  minLength,
  maxLength: 256,
  description: `${minLength} to 256 characters`,
  examples: ['correct horse']
})

// Sign-in accepts any text, even names and passwords that no user can have: its response is then 404 or 401, not 400.
export const GivenUsername = Type.String({
  pattern: WELL_FORMED,
  maxLength: 256,
  description: 'a string of at most 256 characters',
  examples: ['alice']
})

export const GivenPassword = Type.String({
  pattern: WELL_FORMED,
  maxLength: 256,
  description: 'a string of at most 256 characters',
  examples: ['correct horse']
})

export const Id = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'a whole number above 0',
  examples: [1]
})

/** A challenge, which is also one of WebAuthn. */
export const Challenge = Type.String({
  pattern: '^[\\w-]+$',
  maxLength: 256,
  description: 'the challenge of the sign-in',
  examples: ['kWq5cJxkWn1dT6d2mYb0S6r2m6n3v8qk3w0bq9Zc1fY']
})

/** How a user can confirm: by a code of an authenticator app, a passkey, or a recovery code. */
export const FactorMethods = Type.Array(Type.Union(
  [Type.Literal('totp', { examples: ['totp'] }), Type.Literal('passkey'), Type.Literal('recovery-code')]), { maxItems: 3 })

const nameOptions = (example: string) =>
  ({ minLength: 1, maxLength: 64, description: 'a line of 1 to 64 characters, not only spaces', examples: [example] })

/** A name that a user gives to a passkey or an API key: a single line, because mails and terminals show it. */
export const givenName = (example: string) =>
  Type.String({ ...nameOptions(example), pattern: '^(?=.*\\S)[^\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}]*$' })

/** The same in responses. Tools that check their examples compile patterns without the flag that the other needs. */
export const storedName = (example: string) => Type.String({ ...nameOptions(example), pattern: '^[^\\u0000]*$' })

/** @param description such as “the id of a session” */
export const Uuid = (description: string) => Type.String({
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  maxLength: 36,
  description,
  examples: ['019ab0c4-7c00-7000-8000-000000000001']
})

export const AccessToken = Type.String({
  maxLength: 4096,
  pattern: '^[\\w-]+(\\.[\\w-]+){2}$',
  examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxIn0.c2ln']
})

export const RefreshToken = Type.String({ maxLength: 512, pattern: '^[\\w.-]+$', examples: ['AQAAAAAAAAABAZq1'] })

/** The token of a link in a mail. Any text: what is none is rejected like one that was used. */
export const EmailToken = Type.String({
  pattern: WELL_FORMED,
  maxLength: 256,
  description: 'a string of at most 256 characters',
  examples: ['kWq5cJxkWn1dT6d2mYb0S6r2m6n3v8qk3w0bq9Zc1fY']
})

/** A code of a mail, or of an authenticator app. */
export const SixDigits = Type.String({
  pattern: '^[0-9 ]{1,16}$',
  maxLength: 16,
  description: 'six digits',
  examples: ['123456']
})

export const Tokens = { accessToken: AccessToken, refreshToken: RefreshToken }

export const Time = Type.String({ format: 'date-time', maxLength: 24, examples: ['2026-11-23T12:00:00.000Z'] })

export const Address = Type.String({ maxLength: 45, pattern: '^[0-9a-f.:]+$', examples: ['203.0.113.7'] })

/** A text response. */
export const Text = (text: string) => Type.String({ enum: [text], examples: [text] })

export const Message = (text: string) => Type.Object({ message: Text(text) })
