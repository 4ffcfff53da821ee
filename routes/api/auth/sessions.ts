import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { sessionsOf } from '../../../sql/refresh-tokens.ts'
import type { Config } from '../../../src/config.ts'
import { ApiError } from '../../../src/errors.ts'
import { Address, Message, Time } from '../../../src/schemas.ts'

const done = { message: 'The session was ended.' }

const SessionId = Type.String({
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  maxLength: 36,
  description: 'the id of a session',
  examples: ['019ab0c4-7c00-7000-8000-000000000001']
})

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
  const { db, sessions } = fastify

  fastify.get('/sessions', {
    config: { access: 'signed-in' },
    schema: { summary: 'The caller\'s sessions, the newest first.', response: { 200: Type.Object({ sessions: Type.Array(Session, { maxItems: config.MAX_SESSIONS_PER_USER }) }) } }
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
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
