import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'
import { roleNames, RoleNames } from './users.ts'

/** What a session lets its holder do now; no row where it has ended, or its user is disabled or deleted. */
export const authorityOf = statement({
  name: 'authority_of',
  text: `SELECT expires_at AS "expiresAt", ${roleNames('$1::bigint')} AS roles
    FROM refresh_tokens JOIN users ON users.id = refresh_tokens.user_id
    WHERE user_id = $1::bigint AND refresh_tokens.id = $2::uuid AND expires_at > now() AND disabled_at IS NULL`,
  values: (userId: number, sessionId: string) => [userId, sessionId],
  row: Type.Object({ expiresAt: Type.Date(), roles: RoleNames })
})
