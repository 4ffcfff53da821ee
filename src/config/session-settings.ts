import { Type } from '@sinclair/typebox'
import { roles } from '../access.ts'
import { encryptionKeys, integer, oneOf, seconds, secret, secrets, type SettingOptions, text } from './setting-types.ts'

/** The settings of keys, tokens and sessions. */
export const sessionSettings = {
  JWT_SECRET: Type.Optional(secret('Secret that signs access tokens (HS256) unless JWT_KEYS_FILE is set, and refresh ' +
    'tokens unless REFRESH_SECRET is set. Required with DATABASE_URL unless both are set; development mode generates ' +
    'one.')),
  JWT_SECRET_ACCEPTED: secrets('Further secrets whose tokens are accepted but which sign nothing. See keys.md.'),
  JWT_KEYS_FILE: Type.Optional(text({
    description: 'File of private keys (PEM or a JWK Set) that sign access tokens instead of JWT_SECRET. The first ' +
      'key signs, all keys verify. SIGHUP reloads the file.',
    expected: 'a path'
  })),
  REFRESH_SECRET: Type.Optional(secret('Secret that signs refresh tokens. Defaults to JWT_SECRET; required if that is ' +
    'not set.')),
  REFRESH_SECRET_ACCEPTED: secrets('Further secrets whose refresh tokens are accepted. See keys.md.'),
  ENCRYPTION_KEYS: encryptionKeys('Keys of the secrets that the database stores encrypted: those of authenticator apps. ' +
    'The first key encrypts, all keys decrypt. Without them, there is no TOTP; development mode generates one. See ' +
    'keys.md.'),
  JWT_ISSUER: text({
    description: 'The `iss` claim of access tokens.',
    expected: 'a name or URL',
    default: 'gatehouse'
  }),
  JWT_AUDIENCE: text({
    description: 'The `aud` claim of access tokens.',
    expected: 'a name or URL',
    default: 'gatehouse'
  }),
  JWT_AUDIENCES: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), {
    description: 'Resource servers that access tokens can be issued for, by their `aud` claim. See keys.md.',
    expected: 'a comma-separated list of names or URLs',
    default: []
  } satisfies SettingOptions),
  ACCESS_TOKEN_TTL: seconds(1, 86400, 3600, 'Lifetime of an access token.'),
  REFRESH_TOKEN_TTL: seconds(1, 31536000, 86400, 'Lifetime of a session, counted from sign-in. A refresh never ' +
    'extends it.'),
  REFRESH_IDLE_TTL: seconds(0, 31536000, 0, 'Time without a refresh after which a session ends, with its access tokens; 0 ' +
    'disables it. Clients need one longer than ACCESS_TOKEN_TTL: they refresh when their access token has expired.'),
  REFRESH_ROTATION: oneOf(['lenient', 'strict', 'off'], {
    description: '`lenient`: a refresh token is valid until its successor is used. `strict`: until REFRESH_GRACE ' +
      'after its first use. `off`: one fixed token per session.',
    default: 'lenient'
  }),
  REFRESH_GRACE: seconds(0, 300, 10, 'Time for which a superseded refresh token is still accepted, for example from ' +
    'a second browser tab.'),
  REAUTHENTICATION_WITHIN: seconds(0, 86400, 600, 'Time after authenticating for which a session may call the routes ' +
    'that require a fresh one; 0 sets no limit.'),
  MAX_SESSIONS_PER_USER: integer(1, 10000, 50, 'Maximum number of sessions per user. A further sign-in ends ' +
    'the oldest.'),
  MAX_API_KEYS: integer(1, 10000, 100, 'Maximum number of API keys per user.'),
  INTROSPECTION_ROLES: Type.Array(oneOf(roles), {
    description: 'Roles whose API keys may ask about tokens at `/api/auth/introspect`. See machines.md.',
    expected: `a comma-separated list of ${roles.join(', ')}`,
    minItems: 1,
    default: ['admin']
  } satisfies SettingOptions & { minItems: number }),
  RATE_LIMIT_INTROSPECTION: integer(0, 10_000_000, 60_000, 'Maximum number of introspections per minute and API key; 0 ' +
    'disables the limit.'),
  SESSION_CACHE: oneOf(['on', 'off'], {
    description: '`off` queries the database on every authenticated request, for engines without LISTEN.',
    default: 'on'
  }),
  SESSION_CACHE_SIZE: integer(1, 10_000_000, 50_000, 'Maximum number of sessions and API keys in the session cache of one ' +
    'process.'),
  SESSION_CACHE_HEARTBEAT: seconds(1, 60, 1, 'Interval between checks of the connection that receives ' +
    'invalidations. If that connection is lost, cached sessions are used for at most this long plus half a second.')
}
