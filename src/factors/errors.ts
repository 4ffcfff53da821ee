import { type ErrorDefinition, unauthenticated } from '../api/error-definition.ts'

/** The errors of second factors, as a part of the catalogue. */
export const factorErrors = {
  SECOND_FACTOR_REQUIRED: {
    status: 401,
    message: 'Please confirm with a second factor.',
    headers: unauthenticated,
    body: { accessToken: null },
    fields: ['challenge', 'methods']
  },
  SECOND_FACTOR_INVALID: {
    status: 401,
    code: 'CODE_INVALID',
    message: 'The code or the passkey was not accepted. A code works once.',
    headers: unauthenticated
  },
  CHALLENGE_INVALID: {
    status: 401,
    message: 'The challenge was used or has expired. Please start again.',
    headers: unauthenticated
  },
  SECOND_FACTOR_ENROLMENT_REQUIRED: { status: 403, message: 'Please set up a second factor and try again.' },
  TOTP_NOT_FOUND: { status: 404, message: 'Authenticator app Not found.' },
  PASSKEY_NOT_FOUND: { status: 404, message: 'Passkey Not found.' },
  PASSKEY_INVALID: { status: 400, message: 'The passkey was not accepted: %s.', example: 'it verified no user' },
  PASSKEYS_EXCEEDED: { status: 409, message: 'The maximum number of passkeys is %s.', example: '20' },
  SECOND_FACTOR_MISSING: { status: 409, message: 'Recovery codes require a second factor.' }
} as const satisfies Record<string, ErrorDefinition>
