import fp from 'fastify-plugin'
import type { IsLate, Transactional } from '../sql/database.ts'
import type { Config } from '../src/config/read-settings.ts'
import { errorCode } from '../src/unknown.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * `false` for a route whose responses need at most one statement, that of the guard. The deadline would cost a
     * trivial route a sixth of its throughput.
     */
    deadline?: false
  }
  interface FastifyRequest {
    /** The database, which executes nothing for this request once its deadline has passed. */
    db: Transactional
  }
}

/**
 * Responds 503 to a request that takes longer than REQUEST_DEADLINE, whatever it waits for. Each statement can wait for
 * a connection of its own, so the timeouts of the database alone would let a request of several statements run much
 * longer.
 */
export default fp<{ config: Config }>(async function deadline (fastify, { config }) {
  fastify.addHook('onRoute', route => {
    if (route.config?.deadline !== false) route.handlerTimeout = config.REQUEST_DEADLINE * 1000
  })

  fastify.decorateRequest('db', {
    getter () {
      // Fastify also aborts the signal when the client disconnects. That cancels no work: it may be a sign-out when a
      // page is closed.
      const isLate: IsLate = () => errorCode(this.signal.reason) === 'FST_ERR_HANDLER_TIMEOUT'
      return {
        query: async statement => await fastify.db.query(statement, isLate),
        transaction: async work => await fastify.db.transaction(work, isLate)
      }
    }
  })
}, { name: 'deadline', fastify: '5.x', dependencies: ['db'] })
