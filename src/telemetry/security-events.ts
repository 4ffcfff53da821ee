import type { FastifyRequest } from 'fastify'
import { clientAddress } from '../api/client-address.ts'

/** Security events, named as in OWASP's Logging Vocabulary Cheat Sheet. */
export type SecurityEvent =
  | 'authn_login_success'
  | 'authn_login_fail'
  | 'authn_login_fail_max'
  | 'authn_password_change'
  | 'authn_password_change_fail'
  | 'authn_token_reuse'
  | 'authn_token_revoked'
  | 'authz_fail'
  | 'excess_rate_limit_exceeded'
  | 'privilege_permissions_changed'
  | 'user_created'
  | 'user_deleted'
  | 'user_updated'

/** Events of normal operation, logged at level info. The others are logged as warnings. */
const ROUTINE: readonly SecurityEvent[] = [
  'authn_login_success', 'authn_password_change', 'authn_token_revoked', 'user_created', 'user_deleted', 'user_updated'
]

/**
 * Logs a security event with the request's id and the client's address.
 * @param fields ids, roles and counts; never what a user typed, which may be a password in the wrong field
 */
export function logSecurityEvent (request: FastifyRequest, event: SecurityEvent, fields: object = {}): void {
  request.log[ROUTINE.includes(event) ? 'info' : 'warn']({ event, ip: clientAddress(request), ...fields }, event)
}
