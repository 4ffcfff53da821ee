import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from '../errors.ts'

/**
 * The access token, from either header. Two that differ are invalid (RFC 6750 §2). Several headers of one name are
 * joined by commas (src/app.ts), which makes their value invalid too.
 * @throws ApiError ACCESS_TOKEN_MISSING or ACCESS_TOKEN_INVALID
 */
export function accessTokenOf ({ headers }: { headers: IncomingHttpHeaders }): string {
  const raw = headers['x-access-token']
  const bearer = /^bearer +(.*)$/i.exec(headers.authorization ?? '')?.[1]?.trim()
  const token = raw || bearer
  if (!token) throw new ApiError('ACCESS_TOKEN_MISSING')
  if (typeof token !== 'string' || (bearer && bearer !== token)) throw new ApiError('ACCESS_TOKEN_INVALID')
  return token
}
