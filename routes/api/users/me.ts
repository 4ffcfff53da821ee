import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { userById } from '../../../sql/users.ts'
import { ApiError } from '../../../src/errors.ts'
import { UserReply, toUserReply } from '../../../src/schemas.ts'

export default (async fastify => {
  fastify.get('/me', {
    // An account that was deleted while its token lives: the token is no good any more.
    config: { access: 'signed-in' },
    schema: { summary: 'The caller\'s own account.', response: { 200: UserReply } }
  }, async request => {
    const [user] = await fastify.db.query(userById(request.caller.id))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    return toUserReply(user)
  })
}) satisfies FastifyPluginAsyncTypebox
