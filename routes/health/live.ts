import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

const alive = { status: 'ok' }

/** Liveness probe: a restart would not fix the database, so it is not asked. */
export default (async fastify => {
  fastify.get('/live', {
    config: { access: 'public' },
    schema: {
      summary: 'Liveness: whether the process responds.',
      response: { 200: Type.Object({ status: Type.String({ maxLength: 16, examples: [alive.status] }) }) }
    }
  }, async () => alive)
}) satisfies FastifyPluginAsyncTypebox
