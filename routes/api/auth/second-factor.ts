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
import { logSecurityEvent } from '../../../src/telemetry/security-events.ts'
import { sha256 } from '../../../src/tokens/sha256.ts'

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
    const [user] = await request.db.query(challengedSignIn(sha256(challenge), network))
    if (!user) throw new ApiError('CHALLENGE_INVALID')
    const { id: userId, credentialId, version } = user

    const complete = async () => await secondFactors.use(user, presented, { type: 'sign-in', challenge }, request,
      async (transaction, { amr }) => {
        const session = await sessions.open({ userId, credentialId, version }, ['pwd', ...amr], request, transaction)
        // The password was changed since it was verified.
        if (!session) throw new ApiError('CHALLENGE_INVALID')
        return session
      })
    // An attacker who has the passwords of many users tries a few codes on each.
    const opened = user.isKnown
      ? await complete()
      : await fastify.limitFailedSignIns(request, async () =>
        await complete().catch((error: unknown): false => {
          if (error instanceof ApiError && error.code === 'SECOND_FACTOR_INVALID') return false
          throw error
        }))
    if (!opened) throw new ApiError('SECOND_FACTOR_INVALID')
    await fastify.resetSignIn({ username: user.username, origin: user.isKnown ? network : undefined })
    logSecurityEvent(request, 'authn_login_success', { userId })
    return toSignedIn(user, opened)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
