import type { Role } from '../access.ts'

export const SECOND_FACTOR_POLICIES = ['optional', 'admins', 'everybody'] as const

export type SecondFactorPolicy = typeof SECOND_FACTOR_POLICIES[number]

/** Whether a user must set up a second factor before anything else. */
export function mustEnrol (
  { roles, hasSecondFactor }: { roles: readonly Role[], hasSecondFactor: boolean }, policy: SecondFactorPolicy
): boolean {
  if (hasSecondFactor || policy === 'optional') return false
  return policy === 'everybody' || roles.includes('admin')
}
