import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { insertAuditEvent } from '../sql/audit.ts'
import { endSessions } from '../sql/sessions.ts'
import type { Statement } from '../sql/statement.ts'
import { deleteUser, lockAdminRole, lockUser, replaceRoles, setDisabled } from '../sql/user-changes.ts'
import { replacePasswordHash } from '../sql/users.ts'
import type { Role } from '../src/access.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { User } from '../src/api/users.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/telemetry/security-events.ts'

/**
 * Changes of users. Each is one transaction with its audit event, and takes effect on every replica within
 * milliseconds. They throw ApiError USER_NOT_FOUND, or LAST_ADMIN if no enabled admin would be left.
 */
export interface Users {
  changeRoles (id: number, roles: readonly Role[], request: FastifyRequest): Promise<User>
  setDisabled (id: number, disabled: boolean, request: FastifyRequest): Promise<User>
  endSessions (id: number, request: FastifyRequest): Promise<void>
  remove (id: number, request: FastifyRequest): Promise<void>
  /**
   * Changes the caller's password and ends the caller's other sessions.
   * @param verified the hash that the current password was verified with
   * @throws ApiError PASSWORD_INVALID if the password was changed since
   */
  changePassword (verified: string, next: string, request: FastifyRequest): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    users: Users
  }
}

interface Change {
  event: SecurityEvent
  /** run in this order */
  statements: Array<Statement<unknown>>
  /** the changed user */
  result: User
  /** whether the user is no longer an enabled admin */
  removesAdmin: boolean
  detail: Record<string, unknown>
}

export default fp(async function users (fastify) {
  const { db, sessionCache } = fastify

  async function change (id: number, request: FastifyRequest, plan: (user: User) => Change): Promise<User> {
    const outcome = await db.transaction(async transaction => {
      await transaction.query(lockAdminRole())
      const [user] = await transaction.query(lockUser(id))
      if (!user) return 'USER_NOT_FOUND'
      const planned = plan(user)
      if (planned.removesAdmin && user.isLastAdmin) return 'LAST_ADMIN'
      for (const statement of planned.statements) await transaction.query(statement)
      const { event, detail } = planned
      const author = { actorId: request.caller.userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ event, userId: id, detail, ...author }))
      return planned
    })
    if (typeof outcome === 'string') throw new ApiError(outcome)
    sessionCache.invalidate(id)
    logSecurityEvent(request, outcome.event, { userId: id, actorId: request.caller.userId, ...outcome.detail })
    return outcome.result
  }

  fastify.decorate('users', {
    changeRoles: async (id, roles, request) => await change(id, request, user => ({
      event: 'privilege_permissions_changed',
      statements: [replaceRoles(id, roles)],
      result: { ...user, roles },
      removesAdmin: !roles.includes('admin'),
      detail: { from: user.roles, to: roles }
    })),

    setDisabled: async (id, disabled, request) => await change(id, request, user => ({
      event: 'user_updated',
      statements: [setDisabled(id, disabled)],
      result: { ...user, disabled },
      removesAdmin: disabled,
      detail: { disabled }
    })),

    async endSessions (id, request) {
      await change(id, request, user => ({
        event: 'authn_token_revoked',
        statements: [endSessions(id)],
        result: user,
        removesAdmin: false,
        detail: {}
      }))
    },

    async remove (id, request) {
      await change(id, request, user => ({
        event: 'user_deleted',
        statements: [deleteUser(id)],
        result: user,
        removesAdmin: true,
        detail: { roles: user.roles }
      }))
    },

    async changePassword (verified, next, request) {
      const { userId, sessionId } = request.caller
      const isChanged = await db.transaction(async transaction => {
        const [changed] = await transaction.query(replacePasswordHash(userId, verified, next))
        if (!changed) return false
        await transaction.query(endSessions(userId, sessionId))
        const author = { actorId: userId, ip: clientAddress(request) }
        await transaction.query(insertAuditEvent({ event: 'authn_password_change', userId, ...author }))
        return true
      })
      if (!isChanged) throw new ApiError('PASSWORD_INVALID')
      sessionCache.invalidate(userId)
      logSecurityEvent(request, 'authn_password_change', { userId })
    }
  })
}, { name: 'users', fastify: '5.x', dependencies: ['db', 'guard', 'session-cache'] })
