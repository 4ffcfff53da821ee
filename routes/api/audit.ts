import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { auditPage } from '../../sql/audit.ts'
import { Cursor, Next, nextCursor, PageSize, UserId } from '../../src/schemas.ts'

const Query = Type.Object({
  limit: PageSize,
  after: Cursor,
  user: Type.Optional(UserId),
  event: Type.Optional(Type.String({ pattern: '^[a-z_]{1,64}$', description: 'the name of an event' }))
}, { additionalProperties: false })

const Event = Type.Object({
  id: Type.Integer(),
  created: Type.String({ format: 'date-time' }),
  event: Type.String({ examples: ['privilege_permissions_changed'] }),
  userId: Type.Integer(),
  actorId: Type.Union([Type.Integer(), Type.Null()]),
  ip: Type.Union([Type.String(), Type.Null()]),
  detail: Type.Record(Type.String(), Type.Unknown())
})

export default (async fastify => {
  fastify.get('/audit', {
    config: { access: 'admin' },
    schema: {
      summary: 'A page of the audit trail, the newest first, by account and by event.',
      querystring: Query,
      response: { 200: Type.Object({ events: Type.Array(Event), next: Next }) }
    }
  }, async request => {
    const { limit, after: before, user, event } = request.query
    const events = await fastify.db.query(auditPage({ before, user, event, limit }))
    return {
      events: events.map(({ createdAt, ...rest }) => ({ ...rest, created: createdAt.toISOString() })),
      next: nextCursor(events, limit)
    }
  })
}) satisfies FastifyPluginAsyncTypebox
