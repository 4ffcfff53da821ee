import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { sessionsOf } from '../../../sql/refresh-tokens.ts'
import { ApiError } from '../../../src/errors.ts'
import { Message } from '../../../src/schemas.ts'

const done = { message: 'The session was ended.' }

const Session = Type.Object({
  id: Type.String(),
  created: Type.String({ format: 'date-time' }),
  lastUsed: Type.String({ format: 'date-time' }),
  expires: Type.String({ format: 'date-time' }),
  ip: Type.String(),
  userAgent: Type.Union([Type.String(), Type.Null()]),
  current: Type.Boolean()
})

const SessionId = Type.String({
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  description: 'the id of a session'
})

export default (async fastify => {
  const { db, sessions } = fastify

  fastify.get('/sessions', {
    config: { access: 'signed-in' },
    schema: { summary: 'The caller\'s sessions, the newest first.', response: { 200: Type.Object({ sessions: Type.Array(Session) }) } }
  }, async request => {
    const { userId, sessionId } = request.caller
    const rows = await db.query(sessionsOf(userId))
    return {
      sessions: rows.map(session => ({
        id: session.id,
        created: session.createdAt.toISOString(),
        lastUsed: session.lastUsedAt.toISOString(),
        expires: session.expiresAt.toISOString(),
        ip: session.ip,
        userAgent: session.userAgent,
        current: session.id === sessionId
      }))
    }
  })

  fastify.delete('/sessions/:id', {
    config: { access: 'signed-in', errors: ['SESSION_NOT_FOUND'] },
    schema: {
      summary: 'Ends one of the caller\'s sessions.',
      params: Type.Object({ id: SessionId }),
      response: { 200: Message(done.message) }
    }
  }, async request => {
    const ended = await sessions.end(request.caller.userId, request.params.id, request)
    if (!ended) throw new ApiError('SESSION_NOT_FOUND')
    return done
  })
}) satisfies FastifyPluginAsyncTypebox
