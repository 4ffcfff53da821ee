// The parts of the OpenAPI document that belong to no single route.

/** The groups of routes: the folder below /api, or `service` for the others. The page at /docs keeps their order. */
export const tags = [
  { name: 'auth', description: 'Sign-up, sign-in, refresh, sign-out and sessions.' },
  { name: 'users', description: 'The caller\'s own user, and the administration of users.' },
  { name: 'keys', description: 'The caller\'s own API keys.' },
  { name: 'audit', description: 'Changes of users, and who made them.' },
  { name: 'test', description: 'Test endpoints, for front-ends to try their tokens on.' },
  { name: 'service', description: 'The service itself.' }
]

const JWT = 'The access token of a sign-in or a refresh: a JWT (RFC 9068, verified as RFC8725 says).'

export const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: JWT },
  accessToken: {
    type: 'apiKey',
    in: 'header',
    name: 'x-access-token',
    description: `${JWT} Sent without a scheme, as existing front-ends do.`
  },
  apiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'x-api-key',
    description: 'An API key (`gh_…`), which may also be sent as a bearer token.'
  }
} as const

export type SecurityRequirement = Record<string, readonly string[]>

/** Either header. */
export const accessTokenRequired: SecurityRequirement[] = [{ bearer: [] }, { accessToken: [] }]

/** By `config.apiKeys`. */
export const apiKeyRequired: Record<'true' | 'only', SecurityRequirement[]> = {
  true: [...accessTokenRequired, { apiKey: [] }], only: [{ bearer: [] }, { apiKey: [] }]
}

/** The routes that a reader needs first, in this order. The others follow by URL. */
const FIRST = ['/api/auth/signup', '/api/auth/signin', '/api/auth/refreshtoken', '/api/auth/signout']

export function sortPaths<Item> (paths: Record<string, Item>): Record<string, Item> {
  const rank = (url: string) => FIRST.includes(url) ? FIRST.indexOf(url) : FIRST.length
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)))
}

/** By the spelling that OpenAPI linters look for. Header names are case-insensitive. */
export const responseHeaders: Record<string, object> = {
  'X-Request-Id': {
    type: 'string', format: 'uuid', maxLength: 36, description: 'The id of the request, which its log lines repeat.'
  },
  'Access-Control-Allow-Origin': {
    type: 'string', format: 'uri', maxLength: 255, description: 'The origin of the page, if CORS_ORIGIN allows it.'
  },
  'WWW-Authenticate': {
    type: 'string',
    maxLength: 128,
    pattern: '^Bearer( error="insufficient_user_authentication", max_age=\\d+)?$',
    description: 'The authentication scheme (RFC 9110 §11.6.1) and, with the code REAUTHENTICATION_REQUIRED, the seconds ' +
      'within which the user must have authenticated (RFC 9470 §3).'
  },
  'Retry-After': {
    type: 'integer', format: 'int32', minimum: 1, maximum: 86400, description: 'Seconds to wait before another attempt.'
  }
}
