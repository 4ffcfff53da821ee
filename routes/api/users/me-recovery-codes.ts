import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { RecoveryCodes } from '../../../src/api/recovery-codes.ts'

/** The caller's recovery codes. */
export default (async fastify => {
  fastify.post('/me/recovery-codes', {
    config: { access: 'signed-in', freshness: true, errors: ['SECOND_FACTOR_MISSING'] },
    schema: {
      summary: 'Makes new recovery codes for the caller. Earlier ones are void.',
      response: { 201: Type.Object({ recoveryCodes: RecoveryCodes }) }
    }
  }, async (request, reply) => {
    const recoveryCodes = await fastify.factorChanges.replaceRecoveryCodes(request)
    reply.code(201)
    return { recoveryCodes }
  })
}) satisfies FastifyPluginAsyncTypebox
