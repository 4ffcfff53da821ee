// The bodies of the responses that concern second factors.

export const FACTOR_INVALID = {
  message: 'The code or the passkey was not accepted. A code works once.', code: 'CODE_INVALID'
}
export const CODE_INVALID = { message: 'The code is wrong or has expired.', code: 'CODE_INVALID' }
export const CHALLENGE_INVALID = {
  message: 'The challenge was used or has expired. Please start again.', code: 'CHALLENGE_INVALID'
}
export const NOT_FRESH = { message: 'Please confirm that it is you and try again.', code: 'REAUTHENTICATION_REQUIRED' }
export const TOKEN_INVALID = { message: 'Unauthorized!', code: 'ACCESS_TOKEN_INVALID' }
export const PASSWORD_INVALID = { message: 'Invalid Password!', code: 'PASSWORD_INVALID', accessToken: null }
export const DISABLED = { message: 'Account is disabled.', code: 'ACCOUNT_DISABLED' }
export const THROTTLED = { message: 'Too many wrong passwords. Please wait and try again.', code: 'SIGNIN_THROTTLED' }
export const NO_PASSKEY = { message: 'Passkey Not found.', code: 'PASSKEY_NOT_FOUND' }
export const ENROLMENT_REQUIRED = {
  message: 'Please set up a second factor and try again.', code: 'SECOND_FACTOR_ENROLMENT_REQUIRED'
}

export const notConfigured = (setting: string) =>
  ({ message: `This is not configured. It requires the setting ${setting}.`, code: 'NOT_CONFIGURED' })

export const passkeyInvalid = (reason: string) =>
  ({ message: `The passkey was not accepted: ${reason}.`, code: 'PASSKEY_INVALID' })

export const passkeysExceeded = (max: number) =>
  ({ message: `The maximum number of passkeys is ${max}.`, code: 'PASSKEYS_EXCEEDED' })

/** The error that asks for a second factor. */
export const factorRequired = (challenge: unknown, methods: string[]) => ({
  accessToken: null, message: 'Please confirm with a second factor.', code: 'SECOND_FACTOR_REQUIRED', challenge, methods
})

/** The claims of an access token, unverified. */
export const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString()) as Record<string, unknown>
