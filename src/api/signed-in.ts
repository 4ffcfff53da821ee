import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { type Role, toAuthority } from '../access.ts'
import type { Config } from '../config/read-settings.ts'
import { ApiError } from '../errors.ts'
import { logSecurityEvent } from '../telemetry/security-events.ts'
import { Email, Id, Tokens, Username } from './fields.ts'
import { Authorities } from './roles.ts'

/** The response to a sign-in. */
export const SignedIn = Type.Object({
  id: Id,
  username: Username,
  email: Email,
  roles: Authorities,
  ...Tokens
})

interface Opened {
  tokens: { accessToken: string, refreshToken: string }
  roles: readonly Role[]
}

export const toSignedIn = (
  { id, username, email }: { id: number, username: string, email: string }, { tokens, roles }: Opened
) => ({ id, username, email, roles: roles.map(toAuthority), ...tokens })

/**
 * Rejects a user whose credential was verified, but who may not sign in.
 * @throws ApiError ACCOUNT_DISABLED or EMAIL_NOT_VERIFIED
 */
export function requireActive (
  user: { id: number, disabled: boolean, emailVerified: boolean }, request: FastifyRequest, config: Config
): void {
  if (user.disabled) {
    logSecurityEvent(request, 'authn_login_fail', { userId: user.id, reason: 'disabled' })
    throw new ApiError('ACCOUNT_DISABLED')
  }
  if (config.EMAIL_VERIFICATION === 'required' && !user.emailVerified) throw new ApiError('EMAIL_NOT_VERIFIED')
}
