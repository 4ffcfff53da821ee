import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import underPressure from '@fastify/under-pressure'
import { Type } from '@sinclair/typebox'
import { ping } from '../../sql/health.ts'
import type { Config } from '../../src/config/read-settings.ts'
import { ApiError } from '../../src/errors.ts'

const ready = { status: 'ready' }

/** Readiness probe, for load balancers. Migrations have finished before the process listens. */
export default (async (fastify, { config }) => {
  // Registered here, its hook runs for this route only: an overloaded process fails its readiness probe, but still
  // serves the requests it has accepted.
  await fastify.register(underPressure, {
    maxEventLoopDelay: config.MAX_EVENT_LOOP_DELAY,
    maxRssBytes: config.MAX_MEMORY_MIB * 2 ** 20,
    pressureHandler: () => { throw new ApiError('OVERLOADED') }
  })

  fastify.get('/ready', {
    config: { access: 'public', errors: ['OVERLOADED', 'SHUTTING_DOWN'] },
    schema: {
      summary: 'Readiness: whether the database responds and the process is neither overloaded nor shutting down.',
      response: { 200: Type.Object({ status: Type.String({ maxLength: 16, examples: [ready.status] }) }) }
    }
  }, async () => {
    if (fastify.isDraining()) throw new ApiError('SHUTTING_DOWN')
    await fastify.db.query(ping())
    return ready
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
