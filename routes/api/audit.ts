import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { selectAuditEvents } from '../../sql/audit.ts'
import { Address, Time, Id } from '../../src/api/fields.ts'
import { Cursor, Next, nextCursor, PageSize } from '../../src/api/pages.ts'

const EventName = Type.String({
  pattern: '^[a-z_]{1,64}$',
  maxLength: 64,
  description: 'the name of an event',
  examples: ['privilege_permissions_changed']
})

const Query = Type.Object({
  limit: PageSize,
  after: Cursor,
  user: Type.Optional(Id),
  event: Type.Optional(EventName)
}, { additionalProperties: false })

const Event = Type.Object({
  id: Id,
  created: Time,
  event: EventName,
  userId: Id,
  actorId: Type.Union([Id, Type.Null()]),
  ip: Type.Union([Address, Type.Null()]),
  detail: Type.Record(Type.String(), Type.Unknown(), { examples: [{ from: ['user'], to: ['admin'] }] })
})

export default (async fastify => {
  fastify.get('/audit', {
    config: { access: 'admin', apiKeys: true },
    schema: {
      summary: 'Lists audit events, newest first, optionally of one user or of one kind.',
      querystring: Query,
      response: { 200: Type.Object({ events: Type.Array(Event, { maxItems: 100 }), next: Next }) }
    }
  }, async request => {
    // Newest first, so the next page has smaller ids.
    const { limit, after: before, user, event } = request.query
    const events = await request.db.query(selectAuditEvents({ before, user, event, limit }))
    return {
      events: events.map(({ createdAt, ...rest }) => ({ ...rest, created: createdAt.toISOString() })),
      next: nextCursor(events, limit)
    }
  })
}) satisfies FastifyPluginAsyncTypebox
