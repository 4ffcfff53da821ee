import { Type } from '@sinclair/typebox'
import { type Role, toAuthority } from '../access.ts'
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
