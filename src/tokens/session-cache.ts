import { LRUCache } from 'lru-cache'
import type { Role } from '../access.ts'
import type { KeyEntry } from './api-key.ts'
import type { Authentication } from './authentication.ts'

/** What access tokens are issued for: the user, the user's roles, and when and how the user authenticated. */
export interface Session extends Authentication {
  userId: number
  sessionId: string
  roles: readonly Role[]
  expiresAt: Date
}

/** A cached session. */
export interface SessionEntry extends Session {
  username: string
}

/** A caller of an authenticated route. */
export type CallerEntry = SessionEntry | KeyEntry

/** The id of a session or an API key. */
export const idOf = (entry: CallerEntry): string => 'keyId' in entry ? entry.keyId : entry.sessionId

/**
 * Holds sessions and API keys by their ids, which are UUIDs. The least recently used ones are evicted. They are also
 * indexed by user, to invalidate a user's together.
 */
export class SessionCache {
  readonly #entries: LRUCache<string, CallerEntry>
  readonly #idsByUser = new Map<number, Set<string>>()
  readonly #loads = new Set<{ invalidated: Set<number>, isCleared: boolean }>()

  /** @param size maximum number of entries */
  constructor (size: number) {
    this.#entries = new LRUCache({ max: size, dispose: entry => this.#unlink(entry) })
  }

  get size (): number {
    return this.#entries.size
  }

  getSession (sessionId: string): SessionEntry | undefined {
    const entry = this.#entries.get(sessionId)
    return entry && 'sessionId' in entry ? entry : undefined
  }

  getKey (keyId: string): KeyEntry | undefined {
    const entry = this.#entries.get(keyId)
    return entry && 'keyId' in entry ? entry : undefined
  }

  /**
   * Fetches an entry and caches it, unless its user was invalidated during the fetch: the result may predate the
   * change. Concurrent loads are not shared, since an earlier fetch may also predate a change that the caller has
   * already seen.
   */
  async load<Entry extends CallerEntry> (fetch: () => Promise<Entry | undefined>): Promise<Entry | undefined> {
    // An API key does not tell its user, so the users who are invalidated meanwhile are collected.
    const load = { invalidated: new Set<number>(), isCleared: false }
    this.#loads.add(load)
    try {
      const entry = await fetch()
      if (entry && !load.isCleared && !load.invalidated.has(entry.userId)) this.#set(entry)
      return entry
    } finally {
      this.#loads.delete(load)
    }
  }

  /** Drops every session and API key of a user. */
  invalidate (userId: number): void {
    for (const load of this.#loads) load.invalidated.add(userId)
    for (const id of [...this.#idsByUser.get(userId) ?? []]) this.#entries.delete(id)
  }

  clear (): void {
    for (const load of this.#loads) load.isCleared = true
    this.#entries.clear()
  }

  #set (entry: CallerEntry): void {
    const id = idOf(entry)
    this.#entries.set(id, entry)
    const ids = this.#idsByUser.get(entry.userId)
    if (ids) ids.add(id)
    else this.#idsByUser.set(entry.userId, new Set([id]))
  }

  #unlink (entry: CallerEntry): void {
    const ids = this.#idsByUser.get(entry.userId)
    ids?.delete(idOf(entry))
    if (ids?.size === 0) this.#idsByUser.delete(entry.userId)
  }
}
