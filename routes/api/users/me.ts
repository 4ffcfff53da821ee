import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { userById } from '../../../sql/users.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { GivenPassword, Message, newPassword, Tokens } from '../../../src/api/fields.ts'
import { OwnUserResponse, toUserResponse } from '../../../src/api/users.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const changed = { message: 'The password was changed.' }
const deleted = { message: 'The user was deleted.' }

/** The caller's own user. */
export default (async (fastify, { config }) => {
  const { passwords, reauthentication, users } = fastify

  fastify.get('/me', {
    config: { access: 'signed-in', enrolment: true },
    schema: { summary: 'Returns the caller\'s own user.', response: { 200: OwnUserResponse } }
  }, async request => {
    const [user] = await request.db.query(userById(request.caller.userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    return toUserResponse(user)
  })

  fastify.put('/me/password', {
    config: {
      access: 'signed-in',
      errors: ['PASSWORD_INVALID', 'PASSWORD_WEAK', 'SIGNIN_THROTTLED', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Changes the caller\'s password, ends every session of the caller, and opens a new one.',
      body: Type.Object({
        currentPassword: GivenPassword,
        newPassword: newPassword(config.PASSWORD_MIN_LENGTH)
      }, { additionalProperties: false }),
      response: { 200: Type.Object({ ...Message(changed.message).properties, ...Tokens }) }
    }
  }, async request => {
    const caller = await reauthentication.findCaller(request)
    // Before the costly verification.
    await fastify.rejectWeakPassword(request.body.newPassword, caller)
    const { currentPassword, newPassword: next } = request.body
    const verified = await reauthentication.verifyPassword(caller, currentPassword, request, 'authn_password_change_fail')
    const hash = await passwords.hash(next, clientNetwork(request))
    return { ...changed, ...await fastify.changePassword(caller, verified, hash, request) }
  })

  fastify.delete('/me', {
    config: {
      access: 'signed-in',
      freshness: true,
      errors: ['PASSWORD_INVALID', 'SIGNIN_THROTTLED', 'BUSY', 'USER_NOT_FOUND', 'LAST_ADMIN'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Deletes the caller\'s own user.',
      body: Type.Object({ password: GivenPassword }, { additionalProperties: false }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    const caller = await reauthentication.findCaller(request)
    await reauthentication.verifyPassword(caller, request.body.password, request)
    await users.remove(request.caller.userId, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
