import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ping } from '../../sql/health.ts'
import { ApiError } from '../../src/errors.ts'

const ready = { status: 'ready' }

/** Readiness probe, for load balancers. Migrations have finished before the process listens. */
export default (async fastify => {
  let pending: Promise<unknown> | undefined
  /** Concurrent probes share one statement: probes must not add load to a database that is slow. */
  const pingOnce = async (): Promise<unknown> => {
    pending ??= fastify.db.query(ping()).finally(() => { pending = undefined })
    return await pending
  }

  fastify.get('/ready', {
    config: { access: 'public', errors: ['OVERLOADED', 'SHUTTING_DOWN'] },
    schema: {
      summary: 'Readiness: whether the database responds and the process is neither overloaded nor shutting down.',
      response: { 200: Type.Object({ status: Type.String({ maxLength: 16, examples: [ready.status] }) }) }
    }
  }, async () => {
    if (fastify.isDraining()) throw new ApiError('SHUTTING_DOWN')
    // Only this route checks it: an overloaded process fails its readiness probe, but still serves the requests it
    // has accepted.
    if (fastify.isUnderPressure()) throw new ApiError('OVERLOADED')
    await pingOnce()
    return ready
  })
}) satisfies FastifyPluginAsyncTypebox
