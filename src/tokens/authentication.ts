import { type Static, Type } from '@sinclair/typebox'

/**
 * How a user can authenticate, as values of the claim `amr`. `hwk` is a passkey. `fed`, an identity provider, is not in
 * RFC 8176, as the others are.
 */
const methods = ['pwd', 'otp', 'hwk', 'mfa', 'fed'] as const

export const AuthenticationMethods = Type.Array(Type.Union(methods.map(method => Type.Literal(method))))

/** When and how the user of a session last authenticated. */
export interface Authentication {
  authenticatedAt: Date
  amr: Static<typeof AuthenticationMethods>
}

/**
 * Whether a user authenticated recently enough for a route that declares `config.freshness`.
 * @param within REAUTHENTICATION_WITHIN, in seconds; 0 accepts any time
 */
export const isFresh = ({ authenticatedAt }: Authentication, within: number): boolean =>
  within === 0 || authenticatedAt.getTime() + within * 1000 > Date.now()
