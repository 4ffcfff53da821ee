import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { credentialsById, passwordOf, type Password } from '../../../sql/credentials.ts'
import { userById } from '../../../sql/users.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { GivenPassword, Message, newPassword, Tokens } from '../../../src/api/fields.ts'
import { OwnUserResponse, toUserResponse } from '../../../src/api/users.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../../../src/telemetry/security-events.ts'

const changed = { message: 'The password was changed.' }
const deleted = { message: 'The user was deleted.' }

/** The caller's own user. */
export default (async (fastify, { config }) => {
  const { passwords, users } = fastify

  /** The caller with the password. @throws ApiError if deleted since the guard has admitted the caller */
  async function findCaller ({ caller, db }: FastifyRequest) {
    const [user] = await db.query(credentialsById(caller.userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    return user
  }

  /**
   * Verifies the caller's password again: a stolen access token must not suffice for what follows. Wrong ones are
   * counted per session, so that guesses from elsewhere do not keep the user out.
   * @throws ApiError PASSWORD_INVALID, also if the user has no password
   */
  async function verifyPassword (
    request: FastifyRequest, user: Awaited<ReturnType<typeof findCaller>>, given: string, failure: SecurityEvent
  ): Promise<Password> {
    const password = passwordOf(user)
    const guess = { username: user.username, userId: user.id, origin: request.caller.sessionId }
    const matches = await fastify.throttleSignIn(guess, request,
      async () => await passwords.verify(password?.hash, given, clientNetwork(request)))
    if (matches && password) return password
    logSecurityEvent(request, failure, { userId: user.id })
    throw new ApiError('PASSWORD_INVALID')
  }

  fastify.get('/me', {
    config: { access: 'signed-in' },
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
    const user = await findCaller(request)
    // Before the costly verification.
    await fastify.rejectWeakPassword(request.body.newPassword, user)
    const verified = await verifyPassword(request, user, request.body.currentPassword, 'authn_password_change_fail')
    const hash = await passwords.hash(request.body.newPassword, clientNetwork(request))
    return { ...changed, ...await users.changePassword(verified, hash, request) }
  })

  fastify.delete('/me', {
    config: {
      access: 'signed-in',
      errors: ['PASSWORD_INVALID', 'SIGNIN_THROTTLED', 'BUSY', 'USER_NOT_FOUND', 'LAST_ADMIN'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Deletes the caller\'s own user.',
      body: Type.Object({ password: GivenPassword }, { additionalProperties: false }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    await verifyPassword(request, await findCaller(request), request.body.password, 'authn_login_fail')
    await users.remove(request.caller.userId, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
