import { LRUCache } from 'lru-cache'
import type { Role } from './access.ts'

/** What a session lets its holder do. */
export interface Grant {
  userId: number
  sessionId: string
  roles: readonly Role[]
  expiresAt: Date
}

/** The grants of the sessions used last, with the sessions of each user, so that a user's can be forgotten together. */
export class AuthorityCache {
  readonly #grants: LRUCache<string, Grant>
  readonly #sessions = new Map<number, Set<string>>()
  readonly #loads = new Set<{ userId: number, isStale: boolean }>()

  /** @param size the most sessions that are remembered */
  constructor (size: number) {
    this.#grants = new LRUCache({ max: size, dispose: grant => this.#unlink(grant) })
  }

  /** How many sessions are remembered. */
  get size (): number {
    return this.#grants.size
  }

  recall (sessionId: string): Grant | undefined {
    return this.#grants.get(sessionId)
  }

  /**
   * Asks for a grant and remembers it, but not where its user was forgotten while the question was under way: the
   * answer may be from before the change. Each caller asks for itself; joining a question under way would give an
   * answer from before one's own request.
   */
  async load (userId: number, ask: () => Promise<Grant | undefined>): Promise<Grant | undefined> {
    const load = { userId, isStale: false }
    this.#loads.add(load)
    try {
      const grant = await ask()
      if (grant && !load.isStale) this.#remember(grant)
      return grant
    } finally {
      this.#loads.delete(load)
    }
  }

  forget (userId: number): void {
    for (const load of this.#loads) if (load.userId === userId) load.isStale = true
    for (const sessionId of [...this.#sessions.get(userId) ?? []]) this.#grants.delete(sessionId)
  }

  clear (): void {
    for (const load of this.#loads) load.isStale = true
    this.#grants.clear()
  }

  #remember (grant: Grant): void {
    this.#grants.set(grant.sessionId, grant)
    const sessions = this.#sessions.get(grant.userId)
    if (sessions) sessions.add(grant.sessionId)
    else this.#sessions.set(grant.userId, new Set([grant.sessionId]))
  }

  #unlink ({ userId, sessionId }: Grant): void {
    const sessions = this.#sessions.get(userId)
    sessions?.delete(sessionId)
    if (sessions?.size === 0) this.#sessions.delete(userId)
  }
}
