import { randomUUID } from 'node:crypto'
import type { SessionEntry } from '../../src/tokens/session-cache.ts'

/** A session that need not exist in the database. */
export const sessionEntry = (changes: Partial<SessionEntry> = {}): SessionEntry => ({
  userId: 1,
  username: 'ada',
  sessionId: randomUUID(),
  roles: [],
  expiresAt: new Date(Date.now() + 60_000),
  authenticatedAt: new Date(),
  amr: ['pwd'],
  hasSecondFactor: false,
  ...changes
})
