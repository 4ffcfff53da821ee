/** One error response of the HTTP contract. */
export interface ErrorDefinition {
  status: number
  /** `%s` stands for the error's detail */
  message: string
  headers?: Record<string, string>
  /** further fields of the body, which are always the same */
  body?: Record<string, null>
  /** further fields of the body, which an ApiError gives; error-responses.ts has their schemas */
  fields?: ReadonlyArray<'challenge' | 'methods'>
  /** the code in the response, if two errors share it */
  code?: string
  /** a detail, for the example in the API description */
  example?: string
}

// RFC 9110 §11.6.1: a 401 names the scheme that would be accepted.
export const unauthenticated = { 'www-authenticate': 'Bearer' }
