import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import underPressure from '@fastify/under-pressure'
import { Type } from '@sinclair/typebox'
import { ping } from '../../sql/health.ts'
import type { Config } from '../../src/config.ts'
import { ApiError } from '../../src/errors.ts'

const ready = { status: 'ready' }

/** For who sends requests: a load balancer, Kubernetes. Migrations have run before the process listens. */
export default (async (fastify, { config }) => {
  // In here its hook runs before this route only: a process that is late is told to the load balancer, and goes on
  // answering those who already wait for it.
  await fastify.register(underPressure, {
    maxEventLoopDelay: config.MAX_EVENT_LOOP_DELAY,
    maxRssBytes: config.MAX_MEMORY_MIB * 2 ** 20,
    pressureHandler: () => { throw new ApiError('OVERLOADED') }
  })

  fastify.get('/ready', {
    config: { access: 'public', errors: ['OVERLOADED', 'SHUTTING_DOWN'] },
    schema: {
      summary: 'Whether it can serve: the database answers, it is not overloaded and not closing.',
      response: { 200: Type.Object({ status: Type.String({ maxLength: 16, examples: [ready.status] }) }) }
    }
  }, async () => {
    if (fastify.isDraining()) throw new ApiError('SHUTTING_DOWN')
    await fastify.db.query(ping())
    return ready
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
