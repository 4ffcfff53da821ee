import type { Config } from './config.ts'

/** Where log lines go: anything with pino's `write`. */
export interface LogStream {
  write (line: string): void
}

/**
 * What an error may say in the log. PostgreSQL's own fields stay out: `detail` repeats the row (an e-mail, a hash),
 * and so may the message of a data error.
 */
export function describeError (error: Error & { code?: unknown, severity?: unknown, constraint?: unknown }) {
  const { name: type, code, message, stack = '', constraint } = error
  if (error.severity === undefined) return { type, code, message, stack }
  return { type, code, constraint, message: 'PostgreSQL refused a statement', stack: '' }
}

/** The logger's options; pino writes one JSON line per entry. */
export const logOptions = (config: Config) => ({ level: config.LOG_LEVEL, serializers: { err: describeError } })
