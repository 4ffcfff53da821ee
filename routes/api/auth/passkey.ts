import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { Assertion, RequestOptions } from '../../../src/api/passkeys.ts'
import { requireActive, SignedIn, toSignedIn } from '../../../src/api/signed-in.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { logSecurityEvent } from '../../../src/telemetry/security-events.ts'

/** Sign-in without a username and a password. */
export default (async (fastify, { config }) => {
  const { passkeys, sessions } = fastify

  fastify.post('/signin/passkey/options', {
    config: { access: 'public', errors: ['NOT_CONFIGURED'], rateLimit: perMinute(config.RATE_LIMIT_SIGNIN) },
    schema: {
      summary: 'Returns what a page passes to navigator.credentials.get() to sign in with a passkey.',
      response: { 200: RequestOptions }
    }
  }, async request => await passkeys.requestOptions('passkey-sign-in', request))

  fastify.post('/signin/passkey', {
    config: {
      access: 'public',
      action: 'sign_in',
      errors: [
        'SECOND_FACTOR_INVALID', 'CHALLENGE_INVALID', 'ACCOUNT_DISABLED', 'EMAIL_NOT_VERIFIED', 'NOT_CONFIGURED', 'TOO_MANY_REQUESTS',
        'BUSY'
      ],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Signs a user in with a passkey.',
      description: 'A passkey verifies the user, by a PIN or a fingerprint, so that it counts as two factors.',
      body: Type.Object({ response: Assertion }, { additionalProperties: false }),
      response: { 200: SignedIn }
    }
  }, async request => {
    const { user, verified } = await passkeys.verifySignIn(request.body.response, request)
    requireActive(user, request, config)
    const opened = await sessions.open(verified, ['hwk', 'mfa'], request)
    // The passkey was removed, or the user disabled, since it was verified.
    if (!opened) throw new ApiError('SECOND_FACTOR_INVALID')
    logSecurityEvent(request, 'authn_login_success', { userId: user.id })
    return toSignedIn(user, opened)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
