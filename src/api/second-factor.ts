import { Type } from '@sinclair/typebox'
import { ApiError } from '../errors.ts'
import { Assertion, type AssertionResponse } from './passkeys.ts'

/** A code of an authenticator app, or a recovery code. */
const FactorCode = Type.String({
  pattern: '^[0-9A-Za-z -]{1,64}$',
  maxLength: 64,
  description: 'six digits, or a recovery code',
  examples: ['123456']
})

/** The fields that present a second factor: `code`, or `passkey`. */
export const factorFields = { code: Type.Optional(FactorCode), passkey: Type.Optional(Assertion) }

export type PresentedFactor = { code: string } | { passkey: AssertionResponse }

/** @throws ApiError VALIDATION_FAILED unless exactly one of the two is given */
export function presentedFactor ({ code, passkey }: { code?: string, passkey?: AssertionResponse }): PresentedFactor {
  if (code !== undefined && passkey === undefined) return { code }
  if (code === undefined && passkey !== undefined) return { passkey }
  throw new ApiError('VALIDATION_FAILED', 'either code or passkey is required')
}
