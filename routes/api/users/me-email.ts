import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { Email, Message } from '../../../src/api/fields.ts'
import type { Config } from '../../../src/config/read-settings.ts'

const requested = { message: 'Please confirm the new address. A mail is on its way.' }

/** The caller's own e-mail address. */
export default (async (fastify, { config }) => {
  const { mail } = fastify

  fastify.put('/me/email', {
    config: {
      access: 'signed-in', freshness: true, errors: ['NOT_CONFIGURED'], rateLimit: perMinute(config.RATE_LIMIT_EMAIL)
    },
    schema: {
      summary: 'Sends a link and a code to a new address of the caller.',
      description: 'The address changes when it is confirmed. The response is the same if it belongs to another user, who ' +
        'is then told by mail.',
      body: Type.Object({ email: Email }, { additionalProperties: false }),
      response: { 202: Message(requested.message) }
    }
  }, async (request, reply) => {
    mail.requireConfigured()
    const { body: { email: recipient }, caller, db } = request
    await db.transaction(async transaction => {
      await fastify.recheck(transaction, caller, 'signed-in')
      await mail.queue(transaction, { kind: 'email-change', recipient, userId: caller.userId })
    })
    mail.wakeLater()
    reply.code(202)
    return requested
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
