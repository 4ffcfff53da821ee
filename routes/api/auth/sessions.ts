import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { sessionsOf } from '../../../sql/sessions.ts'
import { Address, Message, Time, Uuid } from '../../../src/api/fields.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const ended = { message: 'The session was ended.' }

const SessionId = Uuid('the id of a session')

const Session = Type.Object({
  id: SessionId,
  created: Time,
  lastUsed: Time,
  expires: Time,
  ip: Address,
  userAgent: Type.Union([Type.String({ maxLength: 512, examples: ['Mozilla/5.0'] }), Type.Null()]),
  current: Type.Boolean({ examples: [true] })
})

export default (async (fastify, { config }) => {
  const { sessions } = fastify

  fastify.get('/sessions', {
    config: { access: 'signed-in' },
    schema: {
      summary: 'Lists the caller\'s sessions, newest first.',
      response: { 200: Type.Object({ sessions: Type.Array(Session, { maxItems: config.MAX_SESSIONS_PER_USER }) }) }
    }
  }, async request => {
    const { userId, sessionId } = request.caller
    const rows = await request.db.query(sessionsOf(userId, config.REFRESH_IDLE_TTL))
    return {
      sessions: rows.map(({ createdAt, lastUsedAt, expiresAt, ...session }) => ({
        ...session,
        created: createdAt.toISOString(),
        lastUsed: lastUsedAt.toISOString(),
        expires: expiresAt.toISOString(),
        current: session.id === sessionId
      }))
    }
  })

  fastify.delete('/sessions/:id', {
    config: { access: 'signed-in', errors: ['SESSION_NOT_FOUND'] },
    schema: {
      summary: 'Ends one of the caller\'s sessions.',
      params: Type.Object({ id: SessionId }),
      response: { 200: Message(ended.message) }
    }
  }, async request => {
    if (!await sessions.end(request.params.id, request)) throw new ApiError('SESSION_NOT_FOUND')
    return ended
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
