import { LRUCache } from 'lru-cache'
import type { Role } from '../access.ts'
import type { Authentication } from './authentication.ts'

/** A cached session: its user, the user's roles, its expiry, and when and how the user authenticated. */
export interface SessionEntry extends Authentication {
  userId: number
  sessionId: string
  roles: readonly Role[]
  expiresAt: Date
}

/** The least recently used sessions are evicted. Sessions are also indexed by user, to invalidate a user's together. */
export class SessionCache {
  readonly #entries: LRUCache<string, SessionEntry>
  readonly #sessionsByUser = new Map<number, Set<string>>()
  readonly #loads = new Set<{ userId: number, isStale: boolean }>()

  /** @param size maximum number of entries */
  constructor (size: number) {
    this.#entries = new LRUCache({ max: size, dispose: entry => this.#unlink(entry) })
  }

  get size (): number {
    return this.#entries.size
  }

  get (sessionId: string): SessionEntry | undefined {
    return this.#entries.get(sessionId)
  }

  /**
   * Fetches an entry and caches it, unless its user was invalidated during the fetch: the result may predate the
   * change. Concurrent loads are not shared, since an earlier fetch may also predate a change that the caller has
   * already seen.
   */
  async load (userId: number, fetch: () => Promise<SessionEntry | undefined>): Promise<SessionEntry | undefined> {
    const load = { userId, isStale: false }
    this.#loads.add(load)
    try {
      const entry = await fetch()
      if (entry && !load.isStale) this.#set(entry)
      return entry
    } finally {
      this.#loads.delete(load)
    }
  }

  /** Drops every session of a user. */
  invalidate (userId: number): void {
    for (const load of this.#loads) if (load.userId === userId) load.isStale = true
    for (const sessionId of [...this.#sessionsByUser.get(userId) ?? []]) this.#entries.delete(sessionId)
  }

  clear (): void {
    for (const load of this.#loads) load.isStale = true
    this.#entries.clear()
  }

  #set (entry: SessionEntry): void {
    this.#entries.set(entry.sessionId, entry)
    const sessions = this.#sessionsByUser.get(entry.userId)
    if (sessions) sessions.add(entry.sessionId)
    else this.#sessionsByUser.set(entry.userId, new Set([entry.sessionId]))
  }

  #unlink ({ userId, sessionId }: SessionEntry): void {
    const sessions = this.#sessionsByUser.get(userId)
    sessions?.delete(sessionId)
    if (sessions?.size === 0) this.#sessionsByUser.delete(userId)
  }
}
