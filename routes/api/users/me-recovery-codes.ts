import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { RecoveryCodes } from '../../../src/api/recovery-codes.ts'
import type { Config } from '../../../src/config/read-settings.ts'

/** The caller's recovery codes. */
export default (async (fastify, { config }) => {
  fastify.post('/me/recovery-codes', {
    config: {
      access: 'signed-in',
      freshness: true,
      errors: ['SECOND_FACTOR_MISSING'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Makes new recovery codes for the caller. Earlier ones are void.',
      response: { 201: Type.Object({ recoveryCodes: RecoveryCodes }) }
    }
  }, async (request, reply) => {
    const recoveryCodes = await fastify.factorChanges.replaceRecoveryCodes(request)
    reply.code(201)
    return { recoveryCodes }
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
