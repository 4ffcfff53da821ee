import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { userById } from '../../../sql/users.ts'
import { ApiError } from '../../../src/errors.ts'
import { AccountReply, Message, RoleList, toAccountReply, toRoles, UserId } from '../../../src/schemas.ts'

const sessionsEnded = { message: 'The sessions were ended.' }
const deleted = { message: 'The account was deleted.' }

const params = Type.Object({ id: UserId })

export default (async fastify => {
  const { accounts } = fastify

  fastify.get('/:id', {
    config: { access: 'moderator or admin', errors: ['USER_NOT_FOUND'] },
    schema: { summary: 'One account.', params, response: { 200: AccountReply } }
  }, async request => {
    const [user] = await fastify.db.query(userById(request.params.id))
    if (!user) throw new ApiError('USER_NOT_FOUND')
    return toAccountReply(user)
  })

  fastify.put('/:id/roles', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND', 'ROLE_UNKNOWN', 'LAST_ADMIN'] },
    schema: {
      summary: 'Gives an account exactly these roles.',
      params,
      body: Type.Object({ roles: RoleList(16) }, { additionalProperties: false }),
      response: { 200: AccountReply }
    }
  }, async request =>
    toAccountReply(await accounts.changeRoles(request.params.id, toRoles(request.body.roles), request)))

  fastify.put('/:id/disabled', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND', 'LAST_ADMIN'] },
    schema: {
      summary: 'Disables an account, which ends its sessions, or enables it again.',
      params,
      body: Type.Object({ disabled: Type.Boolean({ description: 'true or false' }) }, { additionalProperties: false }),
      response: { 200: AccountReply }
    }
  }, async request =>
    toAccountReply(await accounts.setDisabled(request.params.id, request.body.disabled, request)))

  fastify.delete('/:id/sessions', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND'] },
    schema: { summary: 'Ends every session of an account.', params, response: { 200: Message(sessionsEnded.message) } }
  }, async request => {
    await accounts.endSessions(request.params.id, request)
    return sessionsEnded
  })

  fastify.delete('/:id', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND', 'LAST_ADMIN'] },
    schema: { summary: 'Deletes an account.', params, response: { 200: Message(deleted.message) } }
  }, async request => {
    await accounts.remove(request.params.id, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox
