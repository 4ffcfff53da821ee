import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { IsLate, Transactional } from '../sql/database.ts'
import { prependHook } from '../src/api/route-hooks.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { errorCode } from '../src/unknown.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false` for a route whose responses need at most one statement, that of the guard. */
    deadline?: false
  }
  interface FastifyRequest {
    /** The database, which executes nothing for this request once its deadline has passed. */
    db: Transactional
    isLate: boolean
  }
}

/** Milliseconds by which the response to a late request may be later still. */
const INTERVAL = 100

/**
 * Responds 503 to a request that takes longer than REQUEST_DEADLINE, whatever it waits for. Each statement can wait for
 * a connection of its own, so the timeouts of the database alone would let a request of several statements run much
 * longer. One timer looks after all requests: Fastify's `handlerTimeout` has a timer and an AbortController for each,
 * which it aborts even after a response in time: a sixth of the main thread's time for a refresh.
 */
export default fp<{ config: Config }>(async function deadline (fastify, { config }) {
  const limit = config.REQUEST_DEADLINE * 1000
  /** Those that were sent are removed at the next interval. */
  const pending = new Set<FastifyReply>()

  const timer = setInterval(() => {
    for (const reply of pending) {
      if (reply.sent) pending.delete(reply)
      else if (reply.elapsedTime > limit) {
        pending.delete(reply)
        reply.request.isLate = true
        reply.send(new ApiError('DEADLINE_EXCEEDED'))
      }
    }
  }, INTERVAL).unref()
  fastify.addHook('onClose', async () => { clearInterval(timer) })

  fastify.addHook('onRoute', route => {
    if (route.config?.deadline === false) return
    prependHook(route, 'onRequest', (_request, reply, done) => {
      pending.add(reply)
      done()
    })
    const { handler } = route
    route.handler = function (request, reply) {
      const result = handler.call(this, request, reply)
      // Other handlers send their response themselves.
      return result instanceof Promise ? dropLate(result, request) : result
    }
  })

  fastify.decorateRequest('isLate', false)
  fastify.decorateRequest('db', {
    getter () {
      const isLate: IsLate = () => this.isLate
      return {
        query: async statement => await fastify.db.query(statement, isLate),
        transaction: async work => await fastify.db.transaction(work, isLate)
      }
    }
  })
}, { name: 'deadline', fastify: '5.x', dependencies: ['db'] })

/** Drops what a handler returns or throws after its response was sent, which Fastify would log as an error. */
async function dropLate (result: Promise<unknown>, request: FastifyRequest): Promise<unknown> {
  try {
    const payload = await result
    return request.isLate ? undefined : payload
  } catch (error) {
    if (!request.isLate) throw error
    if (errorCode(error) !== 'DEADLINE_EXCEEDED') request.log.warn({ err: error }, 'failed after its deadline')
    return undefined
  }
}
