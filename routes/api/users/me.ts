import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { credentialsById, userById } from '../../../sql/users.ts'
import type { Config } from '../../../src/config.ts'
import { ApiError } from '../../../src/errors.ts'
import { GivenPassword, Message, newPassword, toAccountReply, UserReply } from '../../../src/schemas.ts'
import { logSecurityEvent } from '../../../src/security-events.ts'

const changed = { message: 'The password was changed.' }
const deleted = { message: 'The account was deleted.' }

/** The caller's own account. One that is deleted between the guard and here makes the token a bad one. */
export default (async (fastify, { config }) => {
  const { accounts, db, passwords } = fastify

  fastify.get('/me', {
    config: { access: 'signed-in' },
    schema: { summary: 'The caller\'s own account.', response: { 200: UserReply } }
  }, async request => {
    const [user] = await db.query(userById(request.caller.userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    return toAccountReply(user)
  })

  fastify.put('/me/password', {
    config: { access: 'signed-in', errors: ['PASSWORD_INVALID', 'PASSWORD_WEAK', 'SIGNIN_THROTTLED', 'BUSY'] },
    schema: {
      summary: 'Changes the caller\'s password and ends the other sessions.',
      body: Type.Object({
        currentPassword: GivenPassword,
        newPassword: newPassword(config.PASSWORD_MIN_LENGTH)
      }, { additionalProperties: false }),
      response: { 200: Message(changed.message) }
    }
  }, async request => {
    const account = await verify(request, request.body.currentPassword)
    fastify.refuseWeakPassword(request.body.newPassword, account)
    await accounts.changePassword(account.passwordHash, await passwords.hash(request.body.newPassword), request)
    return changed
  })

  fastify.delete('/me', {
    config: { access: 'signed-in', errors: ['PASSWORD_INVALID', 'SIGNIN_THROTTLED', 'BUSY', 'USER_NOT_FOUND', 'LAST_ADMIN'] },
    schema: {
      summary: 'Deletes the caller\'s account.',
      body: Type.Object({ password: GivenPassword }, { additionalProperties: false }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    await verify(request, request.body.password)
    await accounts.remove(request.caller.userId, request)
    return deleted
  })

  /** The caller's account, if this is its password: a stolen access token is no reason to trust its holder further. */
  async function verify (request: FastifyRequest, password: string) {
    const [account] = await db.query(credentialsById(request.caller.userId))
    if (!account) throw new ApiError('ACCESS_TOKEN_INVALID')
    const matches = await fastify.limitGuesses(account.username, request,
      async () => await passwords.verify(account.passwordHash, password))
    if (matches) return account
    logSecurityEvent(request, 'authn_password_change_fail', { userId: account.id })
    throw new ApiError('PASSWORD_INVALID')
  }
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
