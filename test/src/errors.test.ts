import { test } from 'tap'
import { ApiError, catalogue, type ErrorCode, errorDefinition, responseCode } from '../../src/errors.ts'

// A copy of the catalogue: clients depend on these, so a change must be deliberate.
const contract: Record<ErrorCode, [status: number, message: string]> = {
  USERNAME_TAKEN: [400, 'Failed! Username is already in use!'],
  EMAIL_TAKEN: [400, 'Failed! Email is already in use!'],
  ROLE_UNKNOWN: [400, 'Failed! Role does not exist = %s'],
  ROLE_NOT_OPEN: [403, 'Failed! Role %s is not open to sign-up. Send an admin\'s access token, or add the role to SIGNUP_ROLES.'],
  ROLE_NOT_HELD: [403, 'Require Role %s!'],
  PASSWORD_WEAK: [400, 'Failed! The password is %s.'],
  USER_NOT_FOUND: [404, 'User Not found.'],
  PASSWORD_INVALID: [401, 'Invalid Password!'],
  ACCOUNT_DISABLED: [403, 'Account is disabled.'],
  SIGNIN_THROTTLED: [429, 'Too many wrong passwords. Please wait and try again.'],
  TOO_MANY_REQUESTS: [429, 'Too many requests. Please wait and try again.'],
  REFRESH_TOKEN_MISSING: [403, 'Refresh Token is required!'],
  REFRESH_TOKEN_UNKNOWN: [403, 'Refresh token is not in database!'],
  REFRESH_TOKEN_EXPIRED: [403, 'Refresh token was expired. Please make a new signin request'],
  EMAIL_NOT_VERIFIED: [403, 'Please verify your e-mail address and try again.'],
  TOKEN_INVALID: [400, 'The link is invalid, was used or has expired.'],
  SECOND_FACTOR_REQUIRED: [401, 'Please confirm with a second factor.'],
  SECOND_FACTOR_INVALID: [401, 'The code or the passkey was not accepted. A code works once.'],
  CHALLENGE_INVALID: [401, 'The challenge was used or has expired. Please start again.'],
  SECOND_FACTOR_ENROLMENT_REQUIRED: [403, 'Please set up a second factor and try again.'],
  CODE_INVALID: [400, 'The code is wrong or has expired.'],
  PROOF_REQUIRED: [400, 'To confirm this address, sign in or enter the password of the user.'],
  AUDIENCE_UNKNOWN: [400, 'The audience is unknown. Use one that JWT_AUDIENCES lists.'],
  ACCESS_TOKEN_MISSING: [403, 'No token provided!'],
  ACCESS_TOKEN_EXPIRED: [401, 'Unauthorized! Access Token was expired!'],
  ACCESS_TOKEN_INVALID: [401, 'Unauthorized!'],
  KEYS_UNAVAILABLE: [503, 'Access tokens cannot be verified now. Please try again.'],
  MODERATOR_REQUIRED: [403, 'Require Moderator Role!'],
  ADMIN_REQUIRED: [403, 'Require Admin Role!'],
  MODERATOR_OR_ADMIN_REQUIRED: [403, 'Require Moderator or Admin Role!'],
  REAUTHENTICATION_REQUIRED: [401, 'Please confirm that it is you and try again.'],
  SESSION_NOT_FOUND: [404, 'Session Not found.'],
  TOTP_NOT_FOUND: [404, 'Authenticator app Not found.'],
  PASSKEY_NOT_FOUND: [404, 'Passkey Not found.'],
  PASSKEY_INVALID: [400, 'The passkey was not accepted: %s.'],
  PASSKEYS_EXCEEDED: [409, 'The maximum number of passkeys is %s.'],
  SECOND_FACTOR_MISSING: [409, 'Recovery codes require a second factor.'],
  KEY_NOT_FOUND: [404, 'API key Not found.'],
  KEY_LIMIT_REACHED: [409, 'The maximum number of API keys is reached. Please delete one first.'],
  LAST_ADMIN: [409, 'The last admin cannot be removed.'],
  VALIDATION_FAILED: [400, '%s'],
  REQUEST_MALFORMED: [400, 'The request could not be parsed.'],
  ROUTE_NOT_FOUND: [404, 'Route not found.'],
  REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
  BODY_TOO_LARGE: [413, 'The request body is too large.'],
  MEDIA_TYPE_UNSUPPORTED: [415, 'Send the body as application/json or application/x-www-form-urlencoded.'],
  EXPECTATION_FAILED: [417, 'The value of the header Expect is not supported.'],
  HEADERS_TOO_LARGE: [431, 'The request headers are too large.'],
  INTERNAL: [500, 'Internal server error.'],
  NOT_CONFIGURED: [501, 'This is not configured. It requires the setting %s.'],
  BUSY: [503, 'Too many passwords are being verified. Please try again.'],
  DATABASE_UNAVAILABLE: [503, 'The database is unavailable. Please try again.'],
  DEADLINE_EXCEEDED: [503, 'The request took too long. Please try again.'],
  OVERLOADED: [503, 'The service is overloaded. Please try again.'],
  SHUTTING_DOWN: [503, 'The service is shutting down. Please try again.']
}

const codes = Object.keys(catalogue) as ErrorCode[]

test('every error has the status and the message of the contract', async t => {
  const actual = codes.map(code => [code, [errorDefinition(code).status, errorDefinition(code).message]])
  t.strictSame(Object.fromEntries(actual), contract)
})

test('every 401 and the 403 for a missing token name the scheme, and every 503 says when to retry', async t => {
  for (const code of codes) {
    const { status, headers } = errorDefinition(code)
    const challenges = status === 401 || code === 'ACCESS_TOKEN_MISSING'
    const expected = challenges ? { 'www-authenticate': 'Bearer' } : status === 503 ? { 'retry-after': '1' } : undefined
    t.strictSame(headers, expected, code)
  }
})

test('the errors of a sign-in have a further field, and the one for a second factor has two more', async t => {
  t.strictSame(codes.filter(code => errorDefinition(code).body), ['PASSWORD_INVALID', 'SECOND_FACTOR_REQUIRED'])
  t.strictSame(errorDefinition('PASSWORD_INVALID').body, { accessToken: null })
  t.strictSame(codes.filter(code => errorDefinition(code).fields), ['SECOND_FACTOR_REQUIRED'])
})

test('only a second factor that is not accepted shares its code with another error', async t => {
  t.strictSame(codes.filter(code => responseCode(code) !== code), ['SECOND_FACTOR_INVALID'])
  t.equal(responseCode('SECOND_FACTOR_INVALID'), 'CODE_INVALID')
})

test('an error has its code and the message of the catalogue', async t => {
  const error = new ApiError('BODY_TOO_LARGE')
  t.ok(error instanceof Error)
  t.equal(error.code, 'BODY_TOO_LARGE')
  t.equal(error.message, 'The request body is too large.')
})

test('the detail replaces %s unchanged, even if it looks like a format', async t => {
  for (const detail of ['root', '', '%s', '%d%o%%', '100 %']) {
    t.equal(new ApiError('ROLE_UNKNOWN', detail).message, `Failed! Role does not exist = ${detail}`)
    t.equal(new ApiError('VALIDATION_FAILED', detail).message, detail)
  }
})

test('an error keeps its cause', async t => {
  const cause = new Error('the reason')
  t.equal(new ApiError('INTERNAL', undefined, { cause }).cause, cause)
})
