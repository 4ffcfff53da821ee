import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { userById } from '../../../sql/users.ts'
import { Message, Id } from '../../../src/api/fields.ts'
import { RoleList, toRoles } from '../../../src/api/roles.ts'
import { toUserResponse, UserResponse } from '../../../src/api/users.ts'
import { ApiError } from '../../../src/errors.ts'

const sessionsEnded = { message: 'The sessions were ended.' }
const resetMailed = { message: 'A mail to reset the password is on its way.' }
const factorsRemoved = { message: 'The second factors were removed, and the sessions were ended.' }
const deleted = { message: 'The user was deleted.' }

const params = Type.Object({ id: Id })

export default (async fastify => {
  const { users } = fastify

  fastify.get('/:id', {
    config: { access: 'moderator or admin', apiKeys: true, errors: ['USER_NOT_FOUND'] },
    schema: { summary: 'Returns a user.', params, response: { 200: UserResponse } }
  }, async request => {
    const [user] = await request.db.query(userById(request.params.id))
    if (!user) throw new ApiError('USER_NOT_FOUND')
    return toUserResponse(user)
  })

  fastify.put('/:id/roles', {
    config: { access: 'admin', freshness: true, errors: ['USER_NOT_FOUND', 'ROLE_UNKNOWN', 'LAST_ADMIN'] },
    schema: {
      summary: 'Gives a user exactly these roles.',
      params,
      body: Type.Object({ roles: RoleList }, { additionalProperties: false }),
      response: { 200: UserResponse }
    }
  }, async request =>
    toUserResponse(await users.changeRoles(request.params.id, toRoles(request.body.roles), request)))

  fastify.put('/:id/disabled', {
    config: { access: 'admin', freshness: true, errors: ['USER_NOT_FOUND', 'LAST_ADMIN'] },
    schema: {
      summary: 'Disables a user, which ends the user\'s sessions and API keys, or enables the user again.',
      params,
      body: Type.Object({ disabled: Type.Boolean({ description: 'true or false' }) }, { additionalProperties: false }),
      response: { 200: UserResponse }
    }
  }, async request =>
    toUserResponse(await users.setDisabled(request.params.id, request.body.disabled, request)))

  fastify.post('/:id/password-reset', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND', 'NOT_CONFIGURED'] },
    schema: {
      summary: 'Mails a link to reset the password to a user.',
      description: 'An admin never chooses a password.',
      params,
      response: { 202: Message(resetMailed.message) }
    }
  }, async (request, reply) => {
    fastify.mail.requireConfigured()
    await users.resetPassword(request.params.id, request)
    reply.code(202)
    return resetMailed
  })

  fastify.delete('/:id/sessions', {
    config: { access: 'admin', freshness: true, errors: ['USER_NOT_FOUND'] },
    schema: { summary: 'Ends every session of a user.', params, response: { 200: Message(sessionsEnded.message) } }
  }, async request => {
    await users.endSessions(request.params.id, request)
    return sessionsEnded
  })

  fastify.delete('/:id/factors', {
    config: { access: 'admin', freshness: true, errors: ['USER_NOT_FOUND'] },
    schema: {
      summary: 'Removes the second factors and the recovery codes of a user who has lost them, and ends every session.',
      params,
      response: { 200: Message(factorsRemoved.message) }
    }
  }, async request => {
    await users.removeFactors(request.params.id, request)
    return factorsRemoved
  })

  fastify.delete('/:id', {
    config: { access: 'admin', freshness: true, errors: ['USER_NOT_FOUND', 'LAST_ADMIN'] },
    schema: { summary: 'Deletes a user.', params, response: { 200: Message(deleted.message) } }
  }, async request => {
    await users.remove(request.params.id, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox
