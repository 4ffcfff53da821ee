import { type Static, Type } from '@sinclair/typebox'

/**
 * How a user can authenticate, as values of the claim `amr`. `hwk` is a passkey. `fed`, an identity provider, is not in
 * RFC 8176, as the others are.
 */
const methods = ['pwd', 'otp', 'hwk', 'mfa', 'fed'] as const

export const AuthenticationMethods = Type.Array(Type.Union(methods.map(method => Type.Literal(method))))

export type AuthenticationMethod = typeof methods[number]

/** When and how the user of a session last authenticated. */
export interface Authentication {
  authenticatedAt: Date
  amr: Static<typeof AuthenticationMethods>
  /** whether the user has one now, whatever the session began with */
  hasSecondFactor: boolean
}

/**
 * Whether a user authenticated recently enough for a route that declares `config.freshness`. The password alone is not
 * enough for a user with a second factor.
 * @param within REAUTHENTICATION_WITHIN, in seconds; 0 accepts any time
 */
export function isFresh ({ authenticatedAt, amr, hasSecondFactor }: Authentication, within: number): boolean {
  if (hasSecondFactor && !amr.includes('mfa')) return false
  return within === 0 || authenticatedAt.getTime() + within * 1000 > Date.now()
}
