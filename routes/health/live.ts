import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'

const alive = { status: 'ok' }

/** For who restarts processes. It never asks the database: a restart would not bring that back. */
export default (async fastify => {
  fastify.get('/live', {
    config: { access: 'public' },
    schema: {
      summary: 'Whether the process answers.',
      response: { 200: Type.Object({ status: Type.String({ maxLength: 16, examples: [alive.status] }) }) }
    }
  }, async () => alive)
}) satisfies FastifyPluginAsyncTypebox
