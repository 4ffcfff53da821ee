import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ApiError } from '../../../src/errors.ts'

// Whatever is missing is the route's own 403, so the schema lets it pass: no body, no field, null.
const Body = Type.Union([
  Type.Object({
    refreshToken: Type.Optional(Type.Union([Type.String({ description: 'a text' }), Type.Null()]))
  }, { additionalProperties: false }),
  Type.Null()
])

const Reply = Type.Object({ accessToken: Type.String(), refreshToken: Type.String() })

/** Never answers 401: known front-ends answer a 401 with a refresh, and would run in a circle. */
export default (async fastify => {
  const { sessions } = fastify

  fastify.post('/refreshtoken', {
    config: {
      access: 'public',
      errors: ['REFRESH_TOKEN_MISSING', 'REFRESH_TOKEN_UNKNOWN', 'REFRESH_TOKEN_EXPIRED']
    },
    schema: { summary: 'New tokens for a refresh token.', body: Body, response: { 200: Reply } }
  }, async request => {
    const refreshToken = request.body?.refreshToken
    if (refreshToken === undefined || refreshToken === null) throw new ApiError('REFRESH_TOKEN_MISSING')
    return await sessions.refresh(refreshToken, request)
  })
}) satisfies FastifyPluginAsyncTypebox
