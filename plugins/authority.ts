import fp from 'fastify-plugin'
import { Announcements } from '../sql/announcements.ts'
import { authorityOf } from '../sql/authority.ts'
import { AuthorityCache, type Grant } from '../src/authority-cache.ts'
import type { Config } from '../src/config.ts'
import type { AccessClaims } from './jwt.ts'

export interface Authority {
  /** What the session of a token allows, where that is known without a query. */
  recall (claims: AccessClaims): Grant | undefined
  /**
   * The same, from the database.
   * @returns undefined where the session has ended, or its user is disabled or deleted
   * @throws ApiError DATABASE_UNAVAILABLE
   */
  lookUp (claims: AccessClaims): Promise<Grant | undefined>
  /** Forgets a user whose authority this process has just changed; the others hear of it from the database. */
  forget (userId: number): void
  /** Answers from memory and from the database so far, sessions remembered, and whether announcements arrive. */
  figures (): { recalled: number, lookedUp: number, remembered: number, isListening: boolean }
}

declare module 'fastify' {
  interface FastifyInstance {
    authority: Authority
  }
}

/**
 * Says whether a session is alive and what it allows. Answers are remembered only while the connection that announces
 * changes is proven alive; without it every request asks the database, so that its loss costs speed, never safety.
 */
export default fp<{ config: Config }>(async function authority (fastify, { config }) {
  const cache = new AuthorityCache(config.AUTHORITY_CACHE_SIZE)
  const announcements = new Announcements({
    connectionString: config.LISTEN_DATABASE_URL ?? config.DATABASE_URL,
    connectTimeout: config.DATABASE_CONNECT_TIMEOUT,
    heartbeat: config.AUTHORITY_HEARTBEAT,
    onChange: change => change === 'everybody' ? cache.clear() : cache.forget(change),
    onStart: () => cache.clear(),
    onLost: reason => fastify.log.warn(`announcements of changes lost, every request asks the database: ${reason}`)
  })

  let recalled = 0
  let lookedUp = 0

  fastify.decorate('authority', {
    recall ({ id, sid }) {
      if (!announcements.isProven()) return undefined
      const grant = cache.recall(sid)
      if (grant === undefined || grant.userId !== id || grant.expiresAt.getTime() <= Date.now()) return undefined
      recalled++
      return grant
    },

    async lookUp ({ id: userId, sid: sessionId }) {
      lookedUp++
      return await cache.load(userId, async () => {
        const [found] = await fastify.db.query(authorityOf(userId, sessionId))
        return found && { userId, sessionId, ...found }
      })
    },

    forget (userId) {
      cache.forget(userId)
    },

    figures: () => ({ recalled, lookedUp, remembered: cache.size, isListening: announcements.isProven() })
  })

  // Not listening, it is never proven, and nothing is recalled.
  if (config.AUTHORITY_CACHE === 'off') return
  fastify.addHook('onClose', async () => await announcements.stop())
  await announcements.start()
}, { name: 'authority', fastify: '5.x', dependencies: ['db'] })
