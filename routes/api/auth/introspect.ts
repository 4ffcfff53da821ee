import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { acceptedSession } from '../../../sql/rotation.ts'
import type { Role } from '../../../src/access.ts'
import { Username } from '../../../src/api/fields.ts'
import { RoleNames } from '../../../src/api/roles.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError, isTokenDenial } from '../../../src/errors.ts'
import { mustEnrol } from '../../../src/factors/policy.ts'
import { createQuietLog } from '../../../src/telemetry/security-events.ts'
import { isKeyText } from '../../../src/tokens/api-key.ts'
import { rotationOf } from '../../../src/tokens/refresh-token.ts'
import { idOf } from '../../../src/tokens/session-cache.ts'

// RFC 7662. `token_use` and `roles` are extensions, which its §2.2 permits.

const Body = Type.Object({
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
const UuidText = Type.String({ format: 'uuid', maxLength: 36, examples: ['019ab0c4-7c00-7000-8000-000000000001'] })

const Response = Type.Object({
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
  jti: Type.Optional({ ...UuidText, description: 'The id of an access token or of an API key.' }),
  sid: Type.Optional(UuidText)
})

type Introspection = Static<typeof Response>

const INACTIVE: Introspection = { active: false }

const toSeconds = (date: Date): number => Math.floor(date.getTime() / 1000)

/** The fields that every active token has. */
const active = ({ userId, username }: { userId: number, username: string }) =>
  ({ active: true, sub: String(userId), username })

/** What a resource server needs of a token that it may accept: the roles are those of now. */
const bearer = (roles: readonly Role[]) => ({ token_type: 'Bearer', roles: [...roles] })

/** Token introspection (RFC 7662), for services that do not verify access tokens themselves. */
export default (async (fastify, { config }) => {
  const { accessTokens, apiKeys, sessionCache } = fastify
  const { codec, rules } = rotationOf(config)
  const logQuietly = createQuietLog()

  async function introspectKey (text: string): Promise<Introspection> {
    const presented = apiKeys.decode(text)
    const key = presented && (apiKeys.get(presented) ?? await apiKeys.load(presented))
    if (!key || mustEnrol(key, config.SECOND_FACTOR)) return INACTIVE
    return {
      ...active(key),
      ...bearer(key.roles),
      token_use: 'api_key',
      ...key.expiresAt && { exp: toSeconds(key.expiresAt) },
      jti: key.keyId
    }
  }

  async function introspectAccessToken (text: string): Promise<Introspection> {
    const claims = accessTokens.verifyForAny(text)
    const session = sessionCache.get(claims) ?? await sessionCache.load(claims)
    // A user who must set up a second factor first can do nothing else.
    if (!session || mustEnrol(session, config.SECOND_FACTOR)) return INACTIVE
    const { aud, exp, iat, jti, sid } = claims
    return {
      ...active(session),
      ...bearer(session.roles),
      token_use: 'access_token',
      iss: config.JWT_ISSUER,
      aud,
      exp,
      iat,
      ...jti !== undefined && { jti },
      sid
    }
  }

  async function introspect (text: string, { db }: FastifyRequest): Promise<Introspection> {
    if (isKeyText(text)) return await introspectKey(text)
    const refresh = codec.decode(text)
    if (!refresh) return await introspectAccessToken(text)
    const [session] = await db.query(acceptedSession(refresh, rules))
    if (!session) return INACTIVE
    const { userId, sessionId: sid } = refresh
    const { username, createdAt, expiresAt } = session
    return {
      ...active({ userId, username }),
      token_use: 'refresh_token',
      iss: config.JWT_ISSUER,
      exp: toSeconds(expiresAt),
      iat: toSeconds(createdAt),
      sid
    }
  }

  fastify.post('/introspect', {
    config: {
      access: 'signed-in',
      apiKeys: 'only',
      missing: 401,
      errors: ['ROLE_NOT_HELD'],
      rateLimit: perMinute(config.RATE_LIMIT_INTROSPECTION, { subject: ({ anyCaller }) => idOf(anyCaller) })
    },
    schema: {
      summary: 'Tells a service whether a token is valid, and whose it is (RFC 7662).',
      description: 'The caller is an API key with one of INTROSPECTION_ROLES.',
      body: Body,
      response: { 200: Response }
    },
    onRequest: async request => {
      const { userId, roles } = request.anyCaller
      if (config.INTROSPECTION_ROLES.some(role => roles.includes(role))) return
      logQuietly(request, 'authz_fail', userId, { userId, route: request.routeOptions.url })
      throw new ApiError('ROLE_NOT_HELD', config.INTROSPECTION_ROLES.join(' or '))
    }
  }, async request => await introspect(request.body.token, request).catch((error: unknown) => {
    if (isTokenDenial(error)) return INACTIVE
    throw error
  }))
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
