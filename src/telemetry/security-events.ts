import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import { clientAddress } from '../api/client-address.ts'

/** Security events, named as in OWASP's Logging Vocabulary Cheat Sheet. */
export type SecurityEvent =
  | 'authn_login_success'
  | 'authn_login_fail'
  | 'authn_login_fail_max'
  | 'authn_login_lock'
  | 'authn_password_change'
  | 'authn_passkey_counter_fell'
  | 'authn_password_change_fail'
  | 'authn_token_created'
  | 'authn_token_rejected'
  | 'authn_token_reuse'
  | 'authn_token_revoked'
  | 'authz_fail'
  | 'excess_rate_limit_exceeded'
  | 'privilege_permissions_changed'
  | 'user_created'
  | 'user_deleted'
  | 'user_updated'

/** Events of normal operation, logged at level info. */
const ROUTINE: readonly SecurityEvent[] = [
  'authn_login_success', 'authn_password_change', 'authn_token_revoked', 'user_created', 'user_deleted', 'user_updated'
]

/** The events of busy clients, logged at level debug. All others are logged as warnings. */
const FREQUENT: readonly SecurityEvent[] = ['authn_token_created']

const levelOf = (event: SecurityEvent): 'debug' | 'info' | 'warn' =>
  ROUTINE.includes(event) ? 'info' : FREQUENT.includes(event) ? 'debug' : 'warn'

/** What a security event needs of a request, or of a connection without one. */
type Source = Pick<FastifyRequest, 'log' | 'ip' | 'socket'>

/**
 * Logs a security event with the request's id and the client's address.
 * @param fields ids, roles and counts; never what a user typed, which may be a password in the wrong field
 */
export function logSecurityEvent (request: Source, event: SecurityEvent, fields: object = {}): void {
  // Creating an API key is not frequent.
  const level = 'keyId' in fields ? 'info' : levelOf(event)
  request.log[level]({ event, ip: clientAddress(request), ...fields }, event)
}

/** Milliseconds between two lines of the same event and key. */
const MINUTE = 60_000

/**
 * Returns a function that logs a security event at most once a minute for each key, such as a user or an address: a
 * flood of requests must not become a flood of lines.
 */
export function createQuietLog () {
  const logged = new LRUCache<string, true>({ max: 1000, ttl: MINUTE })
  return (request: Source, event: SecurityEvent, key: string | number, fields: object = {}): void => {
    const line = `${event} ${key}`
    if (logged.has(line)) return
    logged.set(line, true)
    logSecurityEvent(request, event, fields)
  }
}
