import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { factorsOf } from '../../../sql/second-factors.ts'
import type { Config } from '../../../src/config/read-settings.ts'

const NONE = { totp: false, passkeys: 0, recoveryCodes: 0 }

export default (async (fastify, { config }) => {
  fastify.get('/me/factors', {
    config: { access: 'signed-in', enrolment: true },
    schema: {
      summary: 'Returns which second factors the caller has.',
      response: {
        200: Type.Object({
          totp: Type.Boolean({ examples: [true] }),
          passkeys: Type.Integer({ minimum: 0, maximum: config.MAX_PASSKEYS, examples: [1] }),
          recoveryCodes: Type.Integer({ minimum: 0, maximum: 10, examples: [10], description: 'the number of codes left' })
        })
      }
    }
  }, async request => {
    const [factors = NONE] = await request.db.query(factorsOf(request.caller.userId))
    return factors
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
