import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { userById } from '../../../sql/users.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { presentedFields, presentedIn } from '../../../src/api/email-token-body.ts'
import { Email, Message, newPassword } from '../../../src/api/fields.ts'
import { factorFields, presentedFactor } from '../../../src/api/second-factor.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const requested = { message: 'If this address belongs to a user, a mail is on its way.' }
const reset = { message: 'The password was reset. Please sign in.' }

/** For users who have forgotten their password. */
export default (async (fastify, { config }) => {
  const { emailChanges, mail, passwords } = fastify

  fastify.post('/password/forgot', {
    config: { access: 'public', errors: ['NOT_CONFIGURED'], rateLimit: perMinute(config.RATE_LIMIT_EMAIL) },
    schema: {
      summary: 'Sends a link and a code to reset the password.',
      description: 'The response is the same for every address.',
      body: Type.Object({ email: Email }, { additionalProperties: false }),
      response: { 200: Message(requested.message) }
    }
  }, async request => {
    mail.requireConfigured()
    await mail.queue(request.db, { kind: 'password-reset', recipient: request.body.email })
    mail.wakeLater()
    return requested
  })

  fastify.post('/password/reset', {
    config: {
      access: 'public',
      errors: [
        'NOT_CONFIGURED', 'TOKEN_INVALID', 'CODE_INVALID', 'SECOND_FACTOR_REQUIRED', 'SECOND_FACTOR_INVALID', 'CHALLENGE_INVALID',
        'SIGNIN_THROTTLED', 'TOO_MANY_REQUESTS', 'PASSWORD_WEAK', 'BUSY'
      ],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Gives a user a new password, ends every session, and deletes every API key.',
      description: 'The address counts as verified. If it never was before, everything that was set up for the user is ' +
        'removed. Otherwise a user with a second factor must present it; a wrong one does not spend the link.',
      body: Type.Object({
        ...presentedFields,
        newPassword: newPassword(config.PASSWORD_MIN_LENGTH),
        secondFactor: Type.Optional(Type.Object(factorFields, { additionalProperties: false }))
      }, { additionalProperties: false }),
      response: { 200: Message(reset.message) }
    }
  }, async request => {
    mail.requireConfigured()
    const { secondFactor } = request.body
    const factor = secondFactor && presentedFactor(secondFactor)
    const presented = await fastify.presentEmailToken(presentedIn(request.body), ['password-reset'], request)
    const [user] = await request.db.query(userById(presented.userId))
    if (!user) throw new ApiError(presented.invalid)
    await fastify.rejectWeakPassword(request.body.newPassword, user)
    const hash = await passwords.hash(request.body.newPassword, clientNetwork(request))
    await emailChanges.reset(presented, hash, factor, request)
    return reset
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
