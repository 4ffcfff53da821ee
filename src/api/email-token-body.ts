import { Type } from '@sinclair/typebox'
import { ApiError } from '../errors.ts'
import { Email, EmailToken, SixDigits } from './fields.ts'

/** The fields that present the token of a mail: `token`, or `email` and `code`. */
export const presentedFields = {
  token: Type.Optional(EmailToken),
  email: Type.Optional(Email),
  code: Type.Optional(SixDigits)
}

/** What a client presents to prove that a mail was read. */
export type GivenEmailToken = { token: string } | { email: string, code: string }

/** @throws ApiError VALIDATION_FAILED unless exactly one of the two is given */
export function presentedIn (
  { token, email, code }: { token?: string, email?: string, code?: string }
): GivenEmailToken {
  if (token !== undefined && email === undefined && code === undefined) return { token }
  if (token === undefined && email !== undefined && code !== undefined) {
    return { email, code: code.replaceAll(' ', '') }
  }
  throw new ApiError('VALIDATION_FAILED', 'either token, or email and code, is required')
}
