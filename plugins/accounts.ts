import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { changePasswordHash, deleteUser, lockAccount, lockAdmins, replaceRoles, setDisabled } from '../sql/accounts.ts'
import { insertAuditEvent } from '../sql/audit.ts'
import { endSessions } from '../sql/refresh-tokens.ts'
import type { Statement } from '../sql/statement.ts'
import type { Role } from '../src/access.ts'
import { clientAddress } from '../src/client-address.ts'
import { ApiError } from '../src/errors.ts'
import type { Account } from '../src/schemas.ts'
import { logSecurityEvent, type SecurityEvent } from '../src/security-events.ts'

/**
 * Changes of accounts. Each is one transaction with its line in the audit trail, acts at once on every replica, and
 * @throws ApiError USER_NOT_FOUND, or LAST_ADMIN where it would leave the service without an enabled admin.
 */
export interface Accounts {
  changeRoles (id: number, roles: readonly Role[], request: FastifyRequest): Promise<Account>
  setDisabled (id: number, disabled: boolean, request: FastifyRequest): Promise<Account>
  endSessions (id: number, request: FastifyRequest): Promise<void>
  remove (id: number, request: FastifyRequest): Promise<void>
  /**
   * Ends every session but the caller's.
   * @param verified the hash that the current password was verified with
   * @throws ApiError PASSWORD_INVALID where the password was changed meanwhile
   */
  changePassword (verified: string, next: string, request: FastifyRequest): Promise<void>
}

declare module 'fastify' {
  interface FastifyInstance {
    accounts: Accounts
  }
}

interface Change {
  event: SecurityEvent
  /** what it does to the account, by statements that run after one another */
  statements: Array<Statement<unknown>>
  /** what it leaves of the account */
  result: Account
  /** whether the account is no longer an enabled admin */
  endsAdmin: boolean
  detail: Record<string, unknown>
}

export default fp(async function accounts (fastify) {
  const { db, authority } = fastify

  async function change (id: number, request: FastifyRequest, plan: (account: Account) => Change): Promise<Account> {
    const outcome = await db.transaction(async transaction => {
      await transaction.query(lockAdmins())
      const [account] = await transaction.query(lockAccount(id))
      if (!account) return 'USER_NOT_FOUND'
      const planned = plan(account)
      if (planned.endsAdmin && account.isLastAdmin) return 'LAST_ADMIN'
      for (const statement of planned.statements) await transaction.query(statement)
      const { event, detail } = planned
      const author = { actorId: request.caller.userId, ip: clientAddress(request) }
      await transaction.query(insertAuditEvent({ event, userId: id, detail, ...author }))
      return planned
    })
    if (typeof outcome === 'string') throw new ApiError(outcome)
    authority.forget(id)
    logSecurityEvent(request, outcome.event, { userId: id, actorId: request.caller.userId, ...outcome.detail })
    return outcome.result
  }

  fastify.decorate('accounts', {
    changeRoles: async (id, roles, request) => await change(id, request, account => ({
      event: 'privilege_permissions_changed',
      statements: [replaceRoles(id, roles)],
      result: { ...account, roles },
      endsAdmin: !roles.includes('admin'),
      detail: { from: account.roles, to: roles }
    })),

    setDisabled: async (id, disabled, request) => await change(id, request, account => ({
      event: 'user_updated',
      statements: [setDisabled(id, disabled)],
      result: { ...account, disabled },
      endsAdmin: disabled,
      detail: { disabled }
    })),

    async endSessions (id, request) {
      await change(id, request, account => ({
        event: 'authn_token_revoked',
        statements: [endSessions(id)],
        result: account,
        endsAdmin: false,
        detail: {}
      }))
    },

    async remove (id, request) {
      await change(id, request, account => ({
        event: 'user_deleted',
        statements: [deleteUser(id)],
        result: account,
        endsAdmin: true,
        detail: { roles: account.roles }
      }))
    },

    async changePassword (verified, next, request) {
      const { userId, sessionId } = request.caller
      const isChanged = await db.transaction(async transaction => {
        const [changed] = await transaction.query(changePasswordHash(userId, verified, next))
        if (!changed) return false
        await transaction.query(endSessions(userId, sessionId))
        const author = { actorId: userId, ip: clientAddress(request) }
        await transaction.query(insertAuditEvent({ event: 'authn_password_change', userId, ...author }))
        return true
      })
      if (!isChanged) throw new ApiError('PASSWORD_INVALID')
      authority.forget(userId)
      logSecurityEvent(request, 'authn_password_change', { userId })
    }
  })
}, { name: 'accounts', fastify: '5.x', dependencies: ['authority', 'db'] })
