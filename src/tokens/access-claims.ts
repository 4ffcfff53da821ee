import { type Static, Type } from '@sinclair/typebox'
import { roles } from '../access.ts'

/** The claims of an access token (RFC 9068). `id` is `sub` as a number, which existing front-ends read. */
export const Claims = Type.Object({
  sub: Type.String({ minLength: 1 }),
  id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  sid: Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }),
  roles: Type.Array(Type.Union(roles.map(role => Type.Literal(role)))),
  aud: Type.Union([Type.String(), Type.Array(Type.String())]),
  jti: Type.Optional(Type.String()),
  iat: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  exp: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
})

export type AccessClaims = Static<typeof Claims>
