import { Type } from '@sinclair/typebox'
import { type Role, toAuthority } from '../access.ts'
import { Email, Time, Id, Username } from './fields.ts'
import { Authorities } from './roles.ts'

/** A user, as the user sees it. */
export const OwnUserResponse = Type.Object({
  id: Id,
  username: Username,
  email: Email,
  roles: Authorities,
  emailVerified: Type.Boolean({ examples: [true] }),
  created: Time
})

/** A user, as moderators and admins see it. */
export const UserResponse = Type.Object({
  ...OwnUserResponse.properties,
  disabled: Type.Boolean({ examples: [false] })
})

export interface User {
  id: number
  username: string
  email: string
  roles: readonly Role[]
  emailVerified: boolean
  createdAt: Date
  disabled: boolean
}

/** A user as a response. A route's schema omits the fields it does not name. */
export const toUserResponse = (user: User) => ({
  id: user.id,
  username: user.username,
  email: user.email,
  roles: user.roles.map(toAuthority),
  emailVerified: user.emailVerified,
  created: user.createdAt.toISOString(),
  disabled: user.disabled
})
