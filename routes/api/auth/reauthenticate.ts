import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { AccessToken, GivenPassword } from '../../../src/api/fields.ts'
import type { Config } from '../../../src/config/read-settings.ts'

export default (async (fastify, { config }) => {
  const { reauthentication } = fastify

  fastify.post('/reauthenticate', {
    config: {
      access: 'signed-in',
      errors: ['PASSWORD_INVALID', 'SIGNIN_THROTTLED', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Makes the caller\'s session fresh, for the routes that require it.',
      description: 'The session and its refresh token stay the same. The access token has a new `auth_time`.',
      body: Type.Object({ password: GivenPassword }, { additionalProperties: false }),
      response: { 200: Type.Object({ accessToken: AccessToken }) }
    }
  }, async request => {
    const caller = await reauthentication.findCaller(request)
    const verified = await reauthentication.verifyPassword(caller, request.body.password, request)
    return { accessToken: await reauthentication.renew(verified, request) }
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
