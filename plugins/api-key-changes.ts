import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { deleteKey, insertKey } from '../sql/api-keys.ts'
import { insertAuditEvent } from '../sql/audit.ts'
import { lockRoles } from '../sql/users.ts'
import type { Role } from '../src/access.ts'
import type { ApiKey } from '../src/api/api-keys.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import { encodeKey, hashSecret, newSecret } from '../src/tokens/api-key.ts'
import { newId } from '../src/tokens/ids.ts'

interface KeyOptions {
  name: string
  /** absent: those that the owner has */
  roles: readonly Role[] | undefined
  /** null: never */
  expiresAt: Date | null
}

/** Changes of API keys. Each is one transaction with its audit event. They throw what `recheck` throws. */
export interface ApiKeyChanges {
  /**
   * Creates a key of the caller.
   * @returns the key, whose text is nowhere else
   * @throws ApiError ROLE_NOT_HELD or KEY_LIMIT_REACHED
   */
  create (options: KeyOptions, request: FastifyRequest): Promise<ApiKey & { key: string }>
  /** Deletes a key of a user. @throws ApiError KEY_NOT_FOUND */
  remove (userId: number, keyId: string, request: FastifyRequest): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    apiKeyChanges: ApiKeyChanges
  }
}

export default fp<{ config: Config }>(async function apiKeyChanges (fastify, { config }) {
  const { sessionCache } = fastify

  fastify.decorate('apiKeyChanges', {
    async create ({ name, roles, expiresAt }, request) {
      const { caller: { userId }, caller, routeOptions: { config: { access } } } = request
      const [keyId, secret] = [newId(), newSecret()]
      const created = await request.db.transaction(async transaction => {
        await fastify.recheck(transaction, caller, access)
        const held = (await transaction.query(lockRoles(userId))).map(({ role }) => role)
        const missing = roles?.find(role => !held.includes(role))
        if (missing) throw new ApiError('ROLE_NOT_HELD', missing)
        const [key] = await transaction.query(insertKey({
          userId,
          keyId,
          name,
          secretHash: hashSecret(secret).toString('base64url'),
          roles: roles ?? held,
          expiresAt,
          maxKeys: config.MAX_API_KEYS
        }))
        if (!key) throw new ApiError('KEY_LIMIT_REACHED')
        const detail = { keyId, name, roles: key.roles, expires: expiresAt }
        const author = { actorId: userId, ip: clientAddress(request) }
        await transaction.query(insertAuditEvent({ event: 'authn_token_created', userId, ...author, detail }))
        return key
      })
      logSecurityEvent(request, 'authn_token_created', { userId, keyId, roles: created.roles })
      return { ...created, key: encodeKey({ keyId, secret }) }
    },

    async remove (userId, keyId, request) {
      const { caller: { userId: actorId }, caller, routeOptions: { config: { access } } } = request
      await request.db.transaction(async transaction => {
        await fastify.recheck(transaction, caller, access)
        const [deleted] = await transaction.query(deleteKey(userId, keyId))
        if (!deleted) throw new ApiError('KEY_NOT_FOUND')
        const author = { actorId, ip: clientAddress(request) }
        await transaction.query(insertAuditEvent({ event: 'authn_token_revoked', userId, ...author, detail: { keyId } }))
      })
      sessionCache.invalidate(userId)
      logSecurityEvent(request, 'authn_token_revoked', { userId, actorId, keyId })
    }
  })
}, { name: 'api-key-changes', fastify: '5.x', dependencies: ['deadline', 'guard', 'session-cache'] })
