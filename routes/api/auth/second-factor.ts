import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { challengedSignIn } from '../../../sql/challenges.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { Challenge } from '../../../src/api/fields.ts'
import { factorFields, presentedFactor } from '../../../src/api/second-factor.ts'
import { SignedIn, toSignedIn } from '../../../src/api/signed-in.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { hashChallenge } from '../../../src/factors/challenge.ts'
import { logSecurityEvent } from '../../../src/telemetry/security-events.ts'

/** The second step of a sign-in. */
export default (async (fastify, { config }) => {
  const { secondFactors, sessions } = fastify

  fastify.post('/signin/second-factor', {
    config: {
      access: 'public',
      action: 'sign_in',
      errors: ['CHALLENGE_INVALID', 'SECOND_FACTOR_INVALID', 'NOT_CONFIGURED', 'SIGNIN_THROTTLED', 'TOO_MANY_REQUESTS', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Completes the sign-in of a user with a second factor.',
      description: 'Takes a code of an authenticator app, a recovery code, or the response of a passkey to the challenge.',
      body: Type.Object({ challenge: Challenge, ...factorFields }, { additionalProperties: false }),
      response: { 200: SignedIn }
    }
  }, async request => {
    const { challenge } = request.body
    const presented = presentedFactor(request.body)
    const network = clientNetwork(request)
    const [user] = await request.db.query(challengedSignIn(hashChallenge(challenge), network))
    if (!user) throw new ApiError('CHALLENGE_INVALID')
    const { id: userId, credentialId, version } = user

    const opened = await secondFactors.use(user, presented, { type: 'sign-in', challenge }, request,
      async (transaction, { amr }) => {
        const session = await sessions.open({ userId, credentialId, version }, ['pwd', ...amr], request, transaction)
        // The password was changed since it was verified.
        if (!session) throw new ApiError('CHALLENGE_INVALID')
        return session
      })
    await fastify.resetSignIn({ username: user.username, origin: user.isKnown ? network : undefined })
    logSecurityEvent(request, 'authn_login_success', { userId })
    return toSignedIn(user, opened)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
