import { v7 as uuidv7 } from 'uuid'

/**
 * The id of a new session or API key. Version 7 begins with the time, so that new ids are adjacent in the index (RFC
 * 9562 §5.7). The rest is random.
 */
export const newId = (): string => uuidv7()

/** When a session began, in milliseconds since the Unix epoch. */
export const beginOf = (sessionId: string): number => parseInt(sessionId.replace('-', '').slice(0, 12), 16)
