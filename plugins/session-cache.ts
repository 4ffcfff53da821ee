import fp from 'fastify-plugin'
import { liveKey } from '../sql/api-keys.ts'
import { InvalidationListener } from '../sql/invalidations.ts'
import { notifyProof } from '../sql/listening-connection.ts'
import { liveSession } from '../sql/sessions.ts'
import type { Config } from '../src/config/read-settings.ts'
import type { AccessClaims } from '../src/tokens/access-claims.ts'
import { hasSecret, type KeyEntry, type PresentedKey } from '../src/tokens/api-key.ts'
import { SessionCache, type SessionEntry } from '../src/tokens/session-cache.ts'

export interface CachedSessions {
  /** Returns the cached session of a token; undefined if a query is needed. */
  get (claims: AccessClaims): SessionEntry | undefined
  /**
   * Returns the session of a token from the database.
   * @returns undefined if the session ended, or its user is disabled or deleted
   * @throws ApiError DATABASE_UNAVAILABLE
   */
  load (claims: AccessClaims): Promise<SessionEntry | undefined>
  /** Returns a cached API key; undefined if a query is needed. */
  getKey (presented: PresentedKey): KeyEntry | undefined
  /**
   * Returns an API key from the database.
   * @returns undefined if it does not exist or has expired, or its owner is disabled or deleted
   * @throws ApiError DATABASE_UNAVAILABLE
   */
  loadKey (presented: PresentedKey): Promise<KeyEntry | undefined>
  /**
   * Drops the sessions and API keys of a user whom this process has just changed. Other processes are notified by the
   * database.
   */
  invalidate (userId: number): void
  /**
   * Hits and misses so far, current entries, whether invalidations are being received, and how often their connection
   * was lost or could not be proven to receive them.
   */
  stats (): { hits: number, misses: number, entries: number, isListening: boolean, losses: number }
}

declare module 'fastify' {
  interface FastifyInstance {
    sessionCache: CachedSessions
  }
}

/** Milliseconds between two log lines with the same reason for lost invalidations. */
const LOG_INTERVAL = 60_000

/**
 * Tells whether a session or an API key is valid, and what it allows. Entries are used only while the connection that
 * receives invalidations is known to work. While it is lost, revocation is late by at most the heartbeat plus half
 * a second; after that, every request queries the database.
 */
export default fp<{ config: Config }>(async function sessionCache (fastify, { config }) {
  const cache = new SessionCache(config.SESSION_CACHE_SIZE)
  let losses = 0
  let lastLogged = { reason: '', at: 0 }
  const listener = new InvalidationListener({
    connectionString: config.LISTEN_DATABASE_URL ?? config.DATABASE_URL,
    connectTimeout: config.DATABASE_CONNECT_TIMEOUT,
    heartbeat: config.SESSION_CACHE_HEARTBEAT,
    sendProof: async proof => await fastify.db.query(notifyProof(proof)),
    onInvalidation (invalidation) {
      if (invalidation === 'all') cache.clear()
      else cache.invalidate(invalidation)
    },
    onStart: () => { cache.clear() },
    onLost (reason) {
      losses++
      const at = performance.now()
      // A wrong configuration fails every two seconds.
      if (reason === lastLogged.reason && at - lastLogged.at < LOG_INTERVAL) return
      lastLogged = { reason, at }
      fastify.log.warn(`invalidations lost; every request queries the database: ${reason}`)
    }
  })

  let hits = 0
  let misses = 0

  fastify.decorate('sessionCache', {
    get ({ id, sid }) {
      if (!listener.isCurrent()) return undefined
      const entry = cache.getSession(sid)
      if (entry === undefined || entry.userId !== id || entry.expiresAt.getTime() <= Date.now()) return undefined
      hits++
      return entry
    },

    async load ({ id: userId, sid: sessionId }) {
      misses++
      return await cache.load(async () => {
        const [session] = await fastify.db.query(liveSession(userId, sessionId, config.REFRESH_IDLE_TTL))
        return session && { userId, sessionId, ...session }
      })
    },

    getKey (presented) {
      if (!listener.isCurrent()) return undefined
      const entry = cache.getKey(presented.keyId)
      if (!entry || !hasSecret(presented, entry)) return undefined
      if (entry.expiresAt !== null && entry.expiresAt.getTime() <= Date.now()) return undefined
      hits++
      return entry
    },

    async loadKey (presented) {
      const { keyId } = presented
      misses++
      return await cache.load(async () => {
        const [row] = await fastify.db.query(liveKey(keyId))
        if (!row) return undefined
        const { secretHash, lastUsedAt, ...key } = row
        const entry = { ...key, keyId, secretHash: Buffer.from(secretHash, 'base64url'), usedAt: lastUsedAt?.getTime() ?? 0 }
        return hasSecret(presented, entry) ? entry : undefined
      })
    },

    invalidate (userId) {
      cache.invalidate(userId)
    },

    stats: () => ({ hits, misses, entries: cache.size, isListening: listener.isCurrent(), losses })
  })

  // A listener that is never started is never current, so every request queries the database.
  if (config.SESSION_CACHE === 'off') return
  fastify.addHook('onClose', async () => { await listener.stop() })
  fastify.addHook('onReady', async () => { await listener.start() })
}, { name: 'session-cache', fastify: '5.x', dependencies: ['db'] })
