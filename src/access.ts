import type { ErrorCode } from './errors.ts'

/** Every role, ordered by its id in the table `roles` (1 user, 2 moderator, 3 admin). */
export const roles = ['user', 'moderator', 'admin'] as const

export type Role = typeof roles[number]

export const isRole = (name: string): name is Role => (roles as readonly string[]).includes(name)

export const roleId = (role: Role): number => roles.indexOf(role) + 1

/** The role string of the HTTP contract: `ROLE_USER` for `user`. */
export const toAuthority = (role: Role): string => `ROLE_${role.toUpperCase()}`

interface Policy {
  /** `null`: no authentication; `[]`: any signed-in user; otherwise a holder of one of these roles */
  anyOf: readonly Role[] | null
  denial?: ErrorCode
}

/**
 * The values of a route's `config.access`. Roles form no hierarchy: an admin without the moderator role is denied at
 * a moderator route, as the HTTP contract says.
 */
export const policies = {
  public: { anyOf: null },
  'signed-in': { anyOf: [] },
  moderator: { anyOf: ['moderator'], denial: 'MODERATOR_REQUIRED' },
  admin: { anyOf: ['admin'], denial: 'ADMIN_REQUIRED' },
  'moderator or admin': { anyOf: ['moderator', 'admin'], denial: 'MODERATOR_OR_ADMIN_REQUIRED' }
} as const satisfies Record<string, Policy>

export type Access = keyof typeof policies

export const isAccess = (value: unknown): value is Access =>
  typeof value === 'string' && Object.hasOwn(policies, value)

/** The error for a signed-in user with the roles `held`; undefined if access is granted. */
export function denial (access: Access, held: readonly Role[]): ErrorCode | undefined {
  const policy: Policy = policies[access]
  if (!policy.anyOf?.length || policy.anyOf.some(role => held.includes(role))) return undefined
  return policy.denial
}
