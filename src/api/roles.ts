import { Type } from '@sinclair/typebox'
import { isRole, type Role, roles, toAuthority } from '../access.ts'
import { ApiError } from '../errors.ts'

/** Role names in a request, such as `user`. `toRoles` checks whether they exist. */
const RoleName = Type.String({ maxLength: 64, description: 'the name of a role' })

/** More than there are roles, so that a list with an unknown or a repeated name gets the error of that. */
const MAX_NAMES = 16

export const RoleList = Type.Array(RoleName, {
  maxItems: MAX_NAMES,
  description: `a list of at most ${MAX_NAMES} role names`,
  examples: [['user']]
})

/** A parameter of a query that names a role, and may be repeated. */
export const RoleParameter = Type.Optional(Type.Union([RoleName, Type.Array(RoleName, { maxItems: MAX_NAMES })], {
  description: 'the name of a role; several mean any of them',
  examples: ['user']
}))

/** The roles of a request, without duplicates and in their own order. @throws ApiError ROLE_UNKNOWN */
export function toRoles (names: readonly string[]): Role[] {
  const unknown = names.find(name => !isRole(name))
  if (unknown !== undefined) throw new ApiError('ROLE_UNKNOWN', unknown)
  return roles.filter(role => names.includes(role))
}

/** Roles in a response as in the claims of an access token, such as `user`. */
export const RoleNames = Type.Array(Type.String({ enum: [...roles] }), {
  maxItems: roles.length,
  examples: [[...roles]]
})

/** Roles in a response, such as `ROLE_USER`. */
export const Authorities = Type.Array(Type.String({ enum: roles.map(toAuthority) }), {
  maxItems: roles.length,
  examples: [roles.map(toAuthority)]
})
