import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { type Role, roles } from '../../../src/access.ts'
import { Cursor, Next, nextCursor, PageSize, SearchText } from '../../../src/api/pages.ts'
import { toUserResponse, UserResponse } from '../../../src/api/users.ts'

const Query = Type.Object({
  limit: PageSize,
  after: Cursor,
  role: Type.Optional(Type.Unsafe<Role>({
    type: 'string', enum: [...roles], description: `one of ${roles.join(', ')}`
  })),
  search: SearchText
}, { additionalProperties: false })

export default (async fastify => {
  fastify.get('/', {
    config: { access: 'moderator or admin', apiKeys: true },
    schema: {
      summary: 'Lists users, optionally those with a role or with a text in the username or e-mail address.',
      querystring: Query,
      response: { 200: Type.Object({ users: Type.Array(UserResponse, { maxItems: 100 }), next: Next }) }
    }
  }, async request => {
    const { limit, after = 0, role, search = '' } = request.query
    const users = await request.db.query(fastify.usersPage({ limit, after }, role, search))
    return { users: users.map(toUserResponse), next: nextCursor(users, limit) }
  })
}) satisfies FastifyPluginAsyncTypebox
