import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { insertAuditEvent } from '../sql/audit.ts'
import { deleteSecondFactors } from '../sql/second-factors.ts'
import { endSessions } from '../sql/sessions.ts'
import type { Statement } from '../sql/statement.ts'
import { deleteUser, lockAdminRole, lockUser, replaceRoles, setDisabled } from '../sql/user-changes.ts'
import type { Role } from '../src/access.ts'
import { clientAddress } from '../src/api/client-address.ts'
import type { User } from '../src/api/users.ts'
import { ApiError } from '../src/errors.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/telemetry/security-events.ts'
import type { NewMail } from './mail.ts'

/**
 * Changes of users. Each is one transaction with its audit event, which checks again what the route's access requires
 * of the caller, and takes effect on every replica within milliseconds. They throw ApiError USER_NOT_FOUND, LAST_ADMIN
 * if no enabled admin would be left, and what `recheck` throws.
 */
export interface Users {
  changeRoles (id: number, roles: readonly Role[], request: FastifyRequest): Promise<User>
  setDisabled (id: number, disabled: boolean, request: FastifyRequest): Promise<User>
  endSessions (id: number, request: FastifyRequest): Promise<void>
  /** Removes the second factors and the recovery codes of a user who has lost them, and ends the user's sessions. */
  removeFactors (id: number, request: FastifyRequest): Promise<void>
  /** Mails a link to reset the password to a user. */
  resetPassword (id: number, request: FastifyRequest): Promise<void>
  remove (id: number, request: FastifyRequest): Promise<void>
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
  mail?: NewMail
  /** the changed user */
  result: User
  /** whether the user is no longer an enabled admin */
  removesAdmin: boolean
  detail: Record<string, unknown>
}

export default fp(async function users (fastify) {
  const { mail, sessionCache } = fastify

  async function change (id: number, request: FastifyRequest, plan: (user: User) => Change): Promise<User> {
    const changed = await request.db.transaction(async transaction => {
      await transaction.query(lockAdminRole())
      await fastify.recheck(transaction, request.caller, request.routeOptions.config.access)
      const [user] = await transaction.query(lockUser(id))
      if (!user) throw new ApiError('USER_NOT_FOUND')
      const planned = plan(user)
      if (planned.removesAdmin && user.isLastAdmin) throw new ApiError('LAST_ADMIN')
      for (const statement of planned.statements) await transaction.query(statement)
      if (planned.mail) await mail.queue(transaction, planned.mail)
      const { event, detail } = planned
      const author = { actorId: request.caller.userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ event, userId: id, detail, ...author }))
      return planned
    })
    sessionCache.invalidate(id)
    if (changed.mail) mail.wake()
    logSecurityEvent(request, changed.event, { userId: id, actorId: request.caller.userId, ...changed.detail })
    return changed.result
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

    async removeFactors (id, request) {
      await change(id, request, user => ({
        event: 'user_updated',
        statements: [deleteSecondFactors(id), endSessions(id)],
        mail: {
          kind: 'second-factors-removed', recipient: user.email, userId: id, data: { username: user.username }
        },
        result: user,
        removesAdmin: false,
        detail: { change: 'second-factors-removed' }
      }))
    },

    async resetPassword (id, request) {
      await change(id, request, user => ({
        event: 'authn_password_change',
        statements: [],
        mail: { kind: 'password-reset', recipient: user.email, userId: user.id, counted: 'none' },
        result: user,
        removesAdmin: false,
        detail: { requested: true }
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
    }
  })
}, { name: 'users', fastify: '5.x', dependencies: ['deadline', 'guard', 'mail', 'session-cache'] })
