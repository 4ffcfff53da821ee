import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { usersPage, usersPageByRole } from '../../../sql/users.ts'
import { roles } from '../../../src/access.ts'
import { AccountReply, Cursor, Next, nextCursor, PageSize, SearchText, toAccountReply } from '../../../src/schemas.ts'

const Query = Type.Object({
  limit: PageSize,
  after: Cursor,
  role: Type.Optional(Type.Unsafe<typeof roles[number]>({ type: 'string', enum: [...roles], description: `one of ${roles.join(', ')}` })),
  search: SearchText
}, { additionalProperties: false })

export default (async fastify => {
  fastify.get('/', {
    config: { access: 'moderator or admin' },
    schema: {
      summary: 'A page of accounts, by role and by a part of the name or the address.',
      querystring: Query,
      response: { 200: Type.Object({ users: Type.Array(AccountReply, { maxItems: 100 }), next: Next }) }
    }
  }, async request => {
    const { limit, after = 0, role, search = '' } = request.query
    const page = { limit, after, search }
    const users = await fastify.db.query(role ? usersPageByRole(page, role) : usersPage(page))
    return { users: users.map(toAccountReply), next: nextCursor(users, limit) }
  })
}) satisfies FastifyPluginAsyncTypebox
