import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { credentialsById, userById } from '../../../sql/users.ts'
import { GivenPassword, Message, newPassword, Tokens } from '../../../src/api/fields.ts'
import { OwnUserResponse, toUserResponse } from '../../../src/api/users.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../../../src/telemetry/security-events.ts'

const changed = { message: 'The password was changed.' }
const deleted = { message: 'The user was deleted.' }

/** The caller's own user. */
export default (async (fastify, { config }) => {
  const { db, passwords, users } = fastify

  /** Verifies the caller's password again: a stolen access token must not suffice for what follows. */
  async function verifyPassword (request: FastifyRequest, password: string, failure: SecurityEvent) {
    const [user] = await db.query(credentialsById(request.caller.userId))
    // Deleted since the guard has admitted the caller.
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    const matches = await fastify.throttleSignIn(user.username, request,
      async () => await passwords.verify(user.passwordHash, password))
    if (matches) return user
    logSecurityEvent(request, failure, { userId: user.id })
    throw new ApiError('PASSWORD_INVALID')
  }

  fastify.get('/me', {
    config: { access: 'signed-in' },
    schema: { summary: 'Returns the caller\'s own user.', response: { 200: OwnUserResponse } }
  }, async request => {
    const [user] = await db.query(userById(request.caller.userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    return toUserResponse(user)
  })

  fastify.put('/me/password', {
    config: { access: 'signed-in', errors: ['PASSWORD_INVALID', 'PASSWORD_WEAK', 'SIGNIN_THROTTLED', 'BUSY'] },
    schema: {
      summary: 'Changes the caller\'s password, ends every session of the caller, and opens a new one.',
      body: Type.Object({
        currentPassword: GivenPassword,
        newPassword: newPassword(config.PASSWORD_MIN_LENGTH)
      }, { additionalProperties: false }),
      response: { 200: Type.Object({ ...Message(changed.message).properties, ...Tokens }) }
    }
  }, async request => {
    const user = await verifyPassword(request, request.body.currentPassword, 'authn_password_change_fail')
    fastify.rejectWeakPassword(request.body.newPassword, user)
    const passwordHash = await passwords.hash(request.body.newPassword)
    return { ...changed, ...await users.changePassword(user.passwordHash, passwordHash, request) }
  })

  fastify.delete('/me', {
    config: {
      access: 'signed-in',
      errors: ['PASSWORD_INVALID', 'SIGNIN_THROTTLED', 'BUSY', 'USER_NOT_FOUND', 'LAST_ADMIN']
    },
    schema: {
      summary: 'Deletes the caller\'s own user.',
      body: Type.Object({ password: GivenPassword }, { additionalProperties: false }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    await verifyPassword(request, request.body.password, 'authn_login_fail')
    await users.remove(request.caller.userId, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
