import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { userById } from '../../../sql/users.ts'
import { ApiError } from '../../../src/errors.ts'
import { toUserReply, UserId, UserReply } from '../../../src/schemas.ts'

export default (async fastify => {
  fastify.get('/:id', {
    config: { access: 'moderator or admin', errors: ['USER_NOT_FOUND'] },
    schema: {
      summary: 'One account.',
      params: Type.Object({ id: UserId }),
      response: { 200: UserReply }
    }
  }, async request => {
    const [user] = await fastify.db.query(userById(request.params.id))
    if (!user) throw new ApiError('USER_NOT_FOUND')
    return toUserReply(user)
  })
}) satisfies FastifyPluginAsyncTypebox
