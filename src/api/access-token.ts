import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from '../errors.ts'
import { isKeyText } from '../tokens/api-key.ts'

/** What a request presents: an access token or an API key, neither of them verified. */
type Credential = { token: string } | { key: string }

/** A request, of Fastify or of Node. */
interface Presenting {
  headers: IncomingHttpHeaders
}

/**
 * The access token, from `x-access-token` or `Authorization`, or the API key, from `x-api-key` or `Authorization`. Two
 * that differ are invalid (RFC 6750 §2). Several headers of one name are joined by commas (src/app.ts), which makes
 * their value invalid too.
 * @throws ApiError ACCESS_TOKEN_MISSING or ACCESS_TOKEN_INVALID
 */
export function credentialOf ({ headers }: Presenting): Credential {
  const { 'x-access-token': raw, 'x-api-key': apiKey, authorization } = headers
  const bearer = /^bearer +(.*)$/i.exec(authorization ?? '')?.[1]?.trim()
  const text = raw || apiKey || bearer
  if (!text) throw new ApiError('ACCESS_TOKEN_MISSING')
  if (typeof text !== 'string' || (bearer && bearer !== text)) throw new ApiError('ACCESS_TOKEN_INVALID')
  const isKey = isKeyText(text)
  // A header for the other kind.
  if (isKey ? raw : apiKey) throw new ApiError('ACCESS_TOKEN_INVALID')
  return isKey ? { key: text } : { token: text }
}

/** The access token of a route that admits no API keys. @throws what `credentialOf` throws */
export function accessTokenOf (request: Presenting): string {
  const credential = credentialOf(request)
  if ('key' in credential) throw new ApiError('ACCESS_TOKEN_INVALID')
  return credential.token
}
