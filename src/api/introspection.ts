import { Type } from '@sinclair/typebox'
import { Username } from './fields.ts'
import { RoleNames } from './roles.ts'

// RFC 7662. `token_use` and `roles` are extensions, which its §2.2 permits.

export const IntrospectionBody = Type.Object({
  token: Type.String({
    minLength: 1,
    maxLength: 16384,
    description: 'an access token, an API key or a refresh token',
    examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJzdWIiOiIxIn0.c2ln']
  }),
  token_type_hint: Type.Optional(Type.String({ maxLength: 64, description: 'a string, which is ignored' }))
}, { additionalProperties: false })

const uses = ['access_token', 'api_key', 'refresh_token'] as const

const Seconds = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, examples: [1793966400] })
const Name = Type.String({ maxLength: 256, examples: ['gatehouse'] })
const Uuid = Type.String({ format: 'uuid', maxLength: 36, examples: ['019ab0c4-7c00-7000-8000-000000000001'] })

export const IntrospectionResponse = Type.Object({
  active: Type.Boolean({ description: 'If false, the response has nothing else.', examples: [true] }),
  token_use: Type.Optional(Type.Unsafe<typeof uses[number]>({
    type: 'string', enum: [...uses], examples: ['access_token'], description: 'Resource servers accept no refresh tokens.'
  })),
  token_type: Type.Optional(Type.String({
    enum: ['Bearer'], examples: ['Bearer'], description: 'Absent for a refresh token.'
  })),
  sub: Type.Optional(Type.String({ pattern: '^\\d+$', maxLength: 16, examples: ['1'] })),
  username: Type.Optional(Username),
  roles: Type.Optional(RoleNames),
  iss: Type.Optional(Name),
  aud: Type.Optional(Type.Union([Name, Type.Array(Name, { maxItems: 100 })])),
  exp: Type.Optional(Seconds),
  iat: Type.Optional(Seconds),
  jti: Type.Optional({ ...Uuid, description: 'The id of an access token or of an API key.' }),
  sid: Type.Optional(Uuid)
})
