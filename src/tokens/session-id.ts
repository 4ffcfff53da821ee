import { v7 as uuidv7 } from 'uuid'

/** Version 7 begins with the time, so that new keys are adjacent in the index (RFC 9562 §5.7). The rest is random. */
export const newSessionId = (): string => uuidv7()

/** When a session began, in milliseconds since the Unix epoch. */
export const beginOf = (sessionId: string): number => parseInt(sessionId.replace('-', '').slice(0, 12), 16)
