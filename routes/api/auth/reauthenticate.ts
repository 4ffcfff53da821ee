import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { AccessToken, GivenPassword } from '../../../src/api/fields.ts'
import { RequestOptions } from '../../../src/api/passkeys.ts'
import { factorFields, presentedFactor } from '../../../src/api/second-factor.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const EXPECTED = 'one of password, code and passkey is required'

/** Renews the caller's session. */
export default (async (fastify, { config }) => {
  const { passkeys, reauthentication, secondFactors } = fastify
  const rateLimit = perMinute(config.RATE_LIMIT_SIGNIN)

  fastify.post('/reauthenticate', {
    config: {
      access: 'signed-in',
      enrolment: true,
      errors: [
        'PASSWORD_INVALID', 'SECOND_FACTOR_REQUIRED', 'SECOND_FACTOR_INVALID', 'CHALLENGE_INVALID', 'NOT_CONFIGURED',
        'SIGNIN_THROTTLED', 'BUSY'
      ],
      rateLimit
    },
    schema: {
      summary: 'Makes the caller\'s session fresh, for the routes that require it.',
      description: 'A user with a second factor must present it: a code, or the response of a passkey. The session and its ' +
        'refresh token stay the same. The access token has a new `auth_time`.',
      body: Type.Object({ password: Type.Optional(GivenPassword), ...factorFields }, { additionalProperties: false }),
      response: { 200: Type.Object({ accessToken: AccessToken }) }
    }
  }, async request => {
    const { password, ...factor } = request.body
    if (Object.keys(request.body).length !== 1) throw new ApiError('VALIDATION_FAILED', EXPECTED)
    const caller = await reauthentication.findCaller(request)
    if (password === undefined) {
      return { accessToken: await reauthentication.renewByFactor(caller, presentedFactor(factor), request) }
    }
    if (caller.hasSecondFactor) {
      const { sessionId } = request.caller
      throw await secondFactors.required('reauthentication', { id: caller.id, sessionId }, request)
    }
    const verified = await reauthentication.verifyPassword(caller, password, request)
    return { accessToken: await reauthentication.renew(verified, request) }
  })

  fastify.post('/reauthenticate/options', {
    config: { access: 'signed-in', enrolment: true, errors: ['NOT_CONFIGURED'], rateLimit },
    schema: {
      summary: 'Returns what a page passes to navigator.credentials.get() to reauthenticate with a passkey.',
      response: { 200: RequestOptions }
    }
  }, async request => await passkeys.requestOptions('reauthentication', request))
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
