import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { addressOf, perMinute } from '../../../plugins/rate-limits.ts'
import type { Config } from '../../../src/config.ts'
import { RefreshTokenBody, shownToken, Tokens } from '../../../src/schemas.ts'

const Reply = Type.Object(Tokens)

/** Never answers 401: known front-ends answer a 401 with a refresh, and would run in a circle. */
export default (async (fastify, { config }) => {
  const { sessions } = fastify

  const sessionOrAddress = (request: FastifyRequest): string =>
    sessions.idOf(String(Object(request.body).refreshToken)) ?? addressOf(request)

  fastify.post('/refreshtoken', {
    config: {
      access: 'public',
      action: 'refresh',
      errors: ['REFRESH_TOKEN_MISSING', 'REFRESH_TOKEN_UNKNOWN', 'REFRESH_TOKEN_EXPIRED'],
      // By session: of all the tabs and users behind one address, only a runaway client is stopped. That takes the
      // body, so it is asked after it was read.
      rateLimit: perMinute(config.RATE_LIMIT_REFRESH, { hook: 'preHandler', subject: sessionOrAddress })
    },
    schema: { summary: 'New tokens for a refresh token.', body: RefreshTokenBody, response: { 200: Reply } }
  }, async request => {
    return await sessions.refresh(shownToken(request.body), request)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
