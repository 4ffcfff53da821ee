import { type TProperties, Type } from '@sinclair/typebox'
import { ApiError } from '../errors.ts'
import { RefreshToken } from './fields.ts'

// An absent token has an error of its own (403), so the schema accepts an absent body, an absent field and null.
/** @param fields further fields of the body */
export const refreshTokenBody = <Fields extends TProperties>(fields: Fields) => Type.Union([
  Type.Object({
    ...fields,
    refreshToken: Type.Optional(Type.Union([
      // Longer than any valid token, so that a malformed one is unknown (403) instead of invalid (400).
      Type.String({ ...RefreshToken, pattern: '', maxLength: 16384, description: 'a string' }),
      Type.Null()
    ]))
  }, { additionalProperties: false }),
  Type.Null()
])

/** @throws ApiError REFRESH_TOKEN_MISSING */
export function presentedToken (body: { refreshToken?: string | null } | null): string {
  if (typeof body?.refreshToken !== 'string') throw new ApiError('REFRESH_TOKEN_MISSING')
  return body.refreshToken
}
