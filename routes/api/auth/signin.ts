import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { credentialsByUsername, passwordOf, rehashPassword } from '../../../sql/credentials.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { GivenPassword, GivenUsername } from '../../../src/api/fields.ts'
import { requireActive, SignedIn, toSignedIn } from '../../../src/api/signed-in.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { logSecurityEvent } from '../../../src/telemetry/security-events.ts'

const Body = Type.Object({ username: GivenUsername, password: GivenPassword }, { additionalProperties: false })

export default (async (fastify, { config }) => {
  const { passwords, secondFactors, sessions } = fastify

  /** The user with this username and password. @throws ApiError */
  async function verifyCredentials (request: FastifyRequest, username: string, password: string) {
    const network = clientNetwork(request)
    const [user] = await request.db.query(credentialsByUsername(username, network))
    const stored = user && passwordOf(user)
    const origin = user?.isKnown ? network : undefined
    const guess = { username, userId: user?.id, origin, isFinal: user?.hasSecondFactor !== true }
    const verify = async () => await fastify.throttleSignIn(guess, request, async () =>
      await passwords.verify(stored?.hash, password, network))
    // Users of a known network must not suffer from others there.
    const matches = origin === undefined ? await fastify.limitFailedSignIns(request, verify) : await verify()
    if (!matches) logSecurityEvent(request, 'authn_login_fail', { userId: user?.id })
    if (!matches && user?.hasSecondFactor) await fastify.countCodeFailure(user.email)
    if (!user) throw new ApiError('USER_NOT_FOUND')
    if (!matches || !stored) throw new ApiError('PASSWORD_INVALID')
    requireActive(user, request, config)
    const rehashed = await passwords.rehash(stored.hash, password, network)
    if (rehashed) await request.db.query(rehashPassword(stored, rehashed))
    if (user.hasSecondFactor) throw await secondFactors.required('sign-in', user, request, stored)
    return { user, verified: stored }
  }

  fastify.post('/signin', {
    config: {
      access: 'public',
      action: 'sign_in',
      errors: [
        'USER_NOT_FOUND', 'PASSWORD_INVALID', 'SECOND_FACTOR_REQUIRED', 'ACCOUNT_DISABLED', 'EMAIL_NOT_VERIFIED', 'SIGNIN_THROTTLED',
        'TOO_MANY_REQUESTS', 'BUSY'
      ],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Signs a user in.',
      description: 'The case of the username is ignored. A user with a second factor gets a challenge, which is also that of ' +
        'WebAuthn, for POST /api/auth/signin/second-factor.',
      body: Body,
      response: { 200: SignedIn }
    }
  }, async request => {
    const { username, password } = request.body
    let { user, verified } = await verifyCredentials(request, username, password)
    let opened = await sessions.open(verified, ['pwd'], request)
    // The user was changed since the password was verified, so it is verified again against the current state.
    if (!opened) {
      ({ user, verified } = await verifyCredentials(request, username, password))
      opened = await sessions.open(verified, ['pwd'], request)
    }
    if (!opened) throw new ApiError('BUSY')
    logSecurityEvent(request, 'authn_login_success', { userId: user.id })
    return toSignedIn(user, opened)
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
