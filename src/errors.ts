import { format } from 'node:util'
import { type ErrorDefinition, unauthenticated } from './api/error-definition.ts'
import { factorErrors } from './factors/errors.ts'

// Seconds: long enough for a queue to drain, short enough for an interactive client.
const retrySoon = { 'retry-after': '1' }

/**
 * Every error the service can respond with, by its stable code. Clients compare `code`; existing front-ends display
 * `message`.
 */
export const catalogue = {
  USERNAME_TAKEN: { status: 400, message: 'Failed! Username is already in use!' },
  EMAIL_TAKEN: { status: 400, message: 'Failed! Email is already in use!' },
  ROLE_UNKNOWN: { status: 400, message: 'Failed! Role does not exist = %s', example: 'owner' },
  ROLE_NOT_OPEN: {
    status: 403,
    message: 'Failed! Role %s is not open to sign-up. Send an admin\'s access token, or add the role to SIGNUP_ROLES.',
    example: 'admin'
  },
  ROLE_NOT_HELD: { status: 403, message: 'Require Role %s!', example: 'admin' },
  PASSWORD_WEAK: { status: 400, message: 'Failed! The password is %s.', example: 'one of the most common' },
  USER_NOT_FOUND: { status: 404, message: 'User Not found.' },
  PASSWORD_INVALID: { status: 401, message: 'Invalid Password!', headers: unauthenticated, body: { accessToken: null } },
  ACCOUNT_DISABLED: { status: 403, message: 'Account is disabled.' },
  SIGNIN_THROTTLED: { status: 429, message: 'Too many wrong passwords. Please wait and try again.' },
  TOO_MANY_REQUESTS: { status: 429, message: 'Too many requests. Please wait and try again.' },
  REFRESH_TOKEN_MISSING: { status: 403, message: 'Refresh Token is required!' },
  REFRESH_TOKEN_UNKNOWN: { status: 403, message: 'Refresh token is not in database!' },
  REFRESH_TOKEN_EXPIRED: {
    status: 403,
    message: 'Refresh token was expired. Please make a new signin request'
  },
  EMAIL_NOT_VERIFIED: { status: 403, message: 'Please verify your e-mail address and try again.' },
  TOKEN_INVALID: { status: 400, message: 'The link is invalid, was used or has expired.' },
  ...factorErrors,
  CODE_INVALID: { status: 400, message: 'The code is wrong or has expired.' },
  PROOF_REQUIRED: {
    status: 400,
    message: 'To confirm this address, sign in or enter the password of the user.'
  },
  AUDIENCE_UNKNOWN: { status: 400, message: 'The audience is unknown. Use one that JWT_AUDIENCES lists.' },
  ACCESS_TOKEN_MISSING: { status: 403, message: 'No token provided!', headers: unauthenticated },
  ACCESS_TOKEN_EXPIRED: { status: 401, message: 'Unauthorized! Access Token was expired!', headers: unauthenticated },
  ACCESS_TOKEN_INVALID: { status: 401, message: 'Unauthorized!', headers: unauthenticated },
  // Of gatehouse/verify, for other servers.
  KEYS_UNAVAILABLE: {
    status: 503,
    message: 'Access tokens cannot be verified now. Please try again.',
    headers: retrySoon
  },
  MODERATOR_REQUIRED: { status: 403, message: 'Require Moderator Role!' },
  ADMIN_REQUIRED: { status: 403, message: 'Require Admin Role!' },
  MODERATOR_OR_ADMIN_REQUIRED: { status: 403, message: 'Require Moderator or Admin Role!' },
  REAUTHENTICATION_REQUIRED: {
    status: 401,
    message: 'Please confirm that it is you and try again.',
    headers: unauthenticated
  },
  SESSION_NOT_FOUND: { status: 404, message: 'Session Not found.' },
  KEY_NOT_FOUND: { status: 404, message: 'API key Not found.' },
  KEY_LIMIT_REACHED: { status: 409, message: 'The maximum number of API keys is reached. Please delete one first.' },
  LAST_ADMIN: { status: 409, message: 'The last admin cannot be removed.' },
  VALIDATION_FAILED: { status: 400, message: '%s', example: 'username is required' },
  REQUEST_MALFORMED: { status: 400, message: 'The request could not be parsed.' },
  ROUTE_NOT_FOUND: { status: 404, message: 'Route not found.' },
  REQUEST_TIMEOUT: { status: 408, message: 'The request did not arrive in time.' },
  BODY_TOO_LARGE: { status: 413, message: 'The request body is too large.' },
  MEDIA_TYPE_UNSUPPORTED: {
    status: 415,
    message: 'Send the body as application/json or application/x-www-form-urlencoded.'
  },
  EXPECTATION_FAILED: { status: 417, message: 'The value of the header Expect is not supported.' },
  HEADERS_TOO_LARGE: { status: 431, message: 'The request headers are too large.' },
  INTERNAL: { status: 500, message: 'Internal server error.' },
  NOT_CONFIGURED: {
    status: 501,
    message: 'This is not configured. It requires the setting %s.',
    example: 'MAIL_URL'
  },
  BUSY: { status: 503, message: 'Too many passwords are being verified. Please try again.', headers: retrySoon },
  DATABASE_UNAVAILABLE: {
    status: 503,
    message: 'The database is unavailable. Please try again.',
    headers: retrySoon
  },
  DEADLINE_EXCEEDED: { status: 503, message: 'The request took too long. Please try again.', headers: retrySoon },
  OVERLOADED: { status: 503, message: 'The service is overloaded. Please try again.', headers: retrySoon },
  SHUTTING_DOWN: { status: 503, message: 'The service is shutting down. Please try again.', headers: retrySoon }
} as const satisfies Record<string, ErrorDefinition>

export type ErrorCode = keyof typeof catalogue

export const errorCodes: readonly ErrorCode[] = Object.keys(catalogue).filter(
  (code): code is ErrorCode => Object.hasOwn(catalogue, code))

export const errorDefinition = (code: ErrorCode): ErrorDefinition => catalogue[code]

/** The code of an error as a response has it. */
export const responseCode = (code: ErrorCode): string => errorDefinition(code).code ?? code

/** The message of an error, with an example of its detail. */
export function exampleMessage (code: ErrorCode): string {
  const { message, example } = errorDefinition(code)
  return example === undefined ? message : format(message, example)
}

interface ApiErrorOptions extends ErrorOptions {
  /** override the catalogue's */
  headers?: Record<string, string>
  /** seconds, to override the catalogue's Retry-After */
  retryAfter?: number
  /** further fields of the body */
  body?: Record<string, unknown>
}

/** An error that a handler throws and the error-handler plugin turns into a response. */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly retryAfter: number | undefined
  readonly headers: Record<string, string> | undefined
  readonly body: Record<string, unknown> | undefined

  /** @param detail replaces `%s` in the catalogue's message */
  constructor (code: ErrorCode, detail?: string, options: ApiErrorOptions = {}) {
    super(detail === undefined ? catalogue[code].message : format(catalogue[code].message, detail), options)
    this.code = code
    this.retryAfter = options.retryAfter
    this.headers = options.headers
    this.body = options.body
  }
}

/** The errors of `identify`, but those of the database: a public route may treat them as the absence of a token. */
const TOKEN_DENIALS: readonly ErrorCode[] = [
  'ACCESS_TOKEN_MISSING', 'ACCESS_TOKEN_EXPIRED', 'ACCESS_TOKEN_INVALID', 'SECOND_FACTOR_ENROLMENT_REQUIRED',
  'REAUTHENTICATION_REQUIRED'
]

/** Whether an error says that a request has no access token that would do. */
export const isTokenDenial = (error: unknown): boolean =>
  error instanceof ApiError && TOKEN_DENIALS.includes(error.code)
