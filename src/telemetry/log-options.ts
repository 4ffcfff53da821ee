import type { Config } from '../config/read-settings.ts'

/** A destination of log lines: anything with pino's `write`. */
export interface LogStream {
  write (line: string): void
}

/**
 * The fields of an error that are logged. PostgreSQL's messages and details are not: they repeat rows, and so e-mail
 * addresses and hashes.
 */
export function describeError (error: Error & { code?: unknown, severity?: unknown, constraint?: unknown }) {
  const { name: type, code, message, stack = '', severity, constraint } = error
  if (severity === undefined) return { type, code, message, stack }
  return { type, code, severity, constraint, message: 'PostgreSQL error', stack: '' }
}

/** The options of pino, which writes one line of JSON per entry. */
export const logOptions = (config: Config) => ({ level: config.LOG_LEVEL, serializers: { err: describeError } })
