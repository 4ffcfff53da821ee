import pg from 'pg'
import { errorCode, errorMessage } from '../src/unknown.ts'

// The SQLSTATEs that the service tells apart (PostgreSQL, appendix A).

/** Classes of faults of a statement: bad data, a violated constraint, bad syntax or a missing right. */
const STATEMENT = /^(22|23|42)/

/** Classes of faults of the configuration: a rejected login, a database that does not exist. */
const CONFIGURATION = /^(28|3D)/

const UNIQUE_VIOLATION = '23505'

/** insufficient_privilege */
const PERMISSION_DENIED = /^42501$/

const hasState = (error: unknown, pattern: RegExp): boolean =>
  error instanceof pg.DatabaseError && pattern.test(String(error.code))

/**
 * Whether a statement caused an error. The connection is then still usable, and a retry would fail again. Every other
 * error (classes 08, 53, 57 and 40, 25006, refused sockets, timeouts) means that the request may succeed later.
 */
export const isStatementError = (error: unknown): boolean =>
  // node-postgres throws a TypeError for a value that it cannot send.
  error instanceof TypeError || hasState(error, STATEMENT)

/** Serialization failures and deadlocks: the same transaction may succeed now. */
const CONFLICT = /^40(001|P01)$/

export const isConflict = (error: unknown): boolean => hasState(error, CONFLICT)

export const isPermissionDenied = (error: unknown): boolean => hasState(error, PERMISSION_DENIED)

/** Errors of the network, by code. Others, such as a certificate of another host, do not pass by waiting. */
const NETWORK = [
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'
]

/** Whether the database can become available without a change of the configuration. */
export function isTransient (error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return !isStatementError(error) && !hasState(error, CONFIGURATION)
  const code = errorCode(error)
  if (code !== undefined) return NETWORK.includes(code)
  // node-postgres's own errors have no code: "Connection terminated unexpectedly", "timeout expired".
  return /connect|timeout/i.test(errorMessage(error))
}

/** Whether a statement violated one of these unique constraints. */
export const isUniqueViolation = (error: unknown, constraints: readonly string[]): boolean =>
  error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION && constraints.includes(String(error.constraint))
