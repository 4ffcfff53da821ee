import type { ErrorCode } from './errors.ts'

/** Every role, in the order of its id in the table `roles` (1 user, 2 moderator, 3 admin). */
export const roles = ['user', 'moderator', 'admin'] as const

export type Role = typeof roles[number]

export const isRole = (name: string): name is Role => (roles as readonly string[]).includes(name)

export const roleId = (role: Role): number => roles.indexOf(role) + 1

/** The form in which sign-in has always shown a role to front-ends: `ROLE_USER`. */
export const authority = (role: Role): string => `ROLE_${role.toUpperCase()}`

/** Who may enter: nobody is asked (`null`), anybody with a good token (`[]`), or a holder of one of the roles. */
interface Policy {
  anyOf: readonly Role[] | null
  refusal?: ErrorCode
}

/**
 * What a route may declare as its `config.access`. A role is exact: an admin without the moderator role is no
 * moderator, as the contract has it; a hierarchy would let front-ends and service disagree.
 */
export const policies = {
  public: { anyOf: null },
  'signed-in': { anyOf: [] },
  moderator: { anyOf: ['moderator'], refusal: 'MODERATOR_REQUIRED' },
  admin: { anyOf: ['admin'], refusal: 'ADMIN_REQUIRED' },
  'moderator or admin': { anyOf: ['moderator', 'admin'], refusal: 'MODERATOR_OR_ADMIN_REQUIRED' }
} as const satisfies Record<string, Policy>

export type Access = keyof typeof policies

export const isAccess = (value: unknown): value is Access =>
  typeof value === 'string' && Object.hasOwn(policies, value)

/** Why a signed-in holder of `held` may not enter, or undefined when they may. */
export function refusal (access: Access, held: readonly Role[]): ErrorCode | undefined {
  const policy: Policy = policies[access]
  if (!policy.anyOf?.length || policy.anyOf.some(role => held.includes(role))) return undefined
  return policy.refusal
}
