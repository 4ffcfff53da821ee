import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { Tokens } from '../../../src/api/fields.ts'
import { presentedToken, refreshTokenBody } from '../../../src/api/refresh-token-body.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { property } from '../../../src/unknown.ts'

const Audience = Type.String({
  maxLength: 256,
  description: 'the resource server that the access token is for, one of JWT_AUDIENCES',
  examples: ['gatehouse']
})

/** Never responds 401: existing front-ends refresh on a 401, and would loop. */
export default (async (fastify, { config }) => {
  const { sessions } = fastify
  const audiences = new Set([config.JWT_AUDIENCE, ...config.JWT_AUDIENCES])

  const sessionOrAddress = (request: FastifyRequest): string =>
    sessions.idOf(String(property(request.body, 'refreshToken'))) ?? clientNetwork(request)

  fastify.post('/refreshtoken', {
    config: {
      access: 'public',
      action: 'refresh',
      errors: ['REFRESH_TOKEN_MISSING', 'REFRESH_TOKEN_UNKNOWN', 'REFRESH_TOKEN_EXPIRED', 'AUDIENCE_UNKNOWN'],
      // Per session, so that of all the users behind one address only a runaway client is limited. The session is in
      // the body, so the limit applies after the body is read.
      rateLimit: perMinute(config.RATE_LIMIT_REFRESH, { hook: 'preHandler', subject: sessionOrAddress })
    },
    schema: {
      summary: 'Exchanges a refresh token for new tokens.',
      body: refreshTokenBody({ audience: Type.Optional(Audience) }),
      response: { 200: Type.Object(Tokens) }
    }
  }, async request => {
    const refreshToken = presentedToken(request.body)
    const audience = request.body?.audience ?? config.JWT_AUDIENCE
    if (!audiences.has(audience)) throw new ApiError('AUDIENCE_UNKNOWN')
    return await sessions.refresh(refreshToken, request, audience)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
