import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { insertUser, isTaken, type NewUser, rejectTaken } from '../../../sql/sign-up.ts'
import type { Role } from '../../../src/access.ts'
import { clientAddress, clientNetwork } from '../../../src/api/client-address.ts'
import { Email, Message, newPassword, Username } from '../../../src/api/fields.ts'
import { RoleList, toRoles } from '../../../src/api/roles.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError, isTokenDenial } from '../../../src/errors.ts'
import { createQuietLog, logSecurityEvent } from '../../../src/telemetry/security-events.ts'
import type { SessionEntry } from '../../../src/tokens/session-cache.ts'

// Any text: existing front-ends send their own token, often an expired one, which must not be an error.
const AdminToken = Type.String({
  maxLength: 65_536,
  description: 'an admin\'s access token, which lets the caller assign any role'
})

const registered = { message: 'User was registered successfully!' }

/** Whether `identify` or `recheck` denied the caller. */
const isDenied = (error: unknown): boolean =>
  isTokenDenial(error) || (error instanceof ApiError && error.code === 'ADMIN_REQUIRED')

export default (async (fastify, { config }) => {
  const { mail, passwords } = fastify
  const isVerifying = mail.isConfigured && config.EMAIL_VERIFICATION !== 'off'
  const unverifiedTtl = isVerifying && config.EMAIL_VERIFICATION === 'required' ? config.UNVERIFIED_TTL : undefined
  const logQuietly = createQuietLog()

  // Existing front-ends send their access token, often an expired one, at sign-up too. It is verified only if a role
  // requires it, and an invalid one counts as none.
  async function findAdmin (request: FastifyRequest): Promise<SessionEntry | undefined> {
    try {
      // As for the routes that change roles.
      const caller = await fastify.identify(request, true)
      return caller.roles.includes('admin') ? caller : undefined
    } catch (error) {
      if (isDenied(error)) return undefined
      throw error
    }
  }

  function notOpen (request: FastifyRequest, role: Role): ApiError {
    logQuietly(request, 'authz_fail', clientNetwork(request), { route: request.routeOptions.url, role })
    return new ApiError('ROLE_NOT_OPEN', role)
  }

  /**
   * Creates a user, after checking again that the admin who assigns the roles, if one is required, still is one, and
   * asks the user to verify the address.
   */
  async function create (user: NewUser, admin: SessionEntry | undefined, request: FastifyRequest) {
    const insert = insertUser(user, { actorId: admin?.userId ?? null, ip: clientAddress(request) })
    if (!admin && !isVerifying) return await request.db.query(insert)
    const created = await request.db.transaction(async transaction => {
      if (admin) await fastify.recheck(transaction, admin, 'admin')
      const rows = await transaction.query(insert)
      if (isVerifying) {
        // Those that others have asked for were dropped, since there was no user. They must not keep the user out.
        await mail.queue(transaction, { kind: 'verification', recipient: user.email, counted: 'kept' })
      }
      return rows
    })
    mail.wake()
    return created
  }

  fastify.post('/signup', {
    config: {
      access: 'public',
      action: 'sign_up',
      errors: ['USERNAME_TAKEN', 'EMAIL_TAKEN', 'ROLE_UNKNOWN', 'ROLE_NOT_OPEN', 'PASSWORD_WEAK', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNUP)
    },
    schema: {
      summary: 'Creates a user.',
      description: 'Usernames and e-mail addresses that differ only in case are the same.',
      // Only for the API description: the handler also accepts the token as a bearer token.
      headers: Type.Object({ 'x-access-token': Type.Optional(AdminToken) }),
      body: Type.Object({
        username: Username,
        email: Email,
        password: newPassword(config.PASSWORD_MIN_LENGTH),
        roles: Type.Optional(RoleList)
      }, { additionalProperties: false }),
      response: { 200: Message(registered.message) }
    }
  }, async request => {
    const { username, email, password } = request.body
    const claimed = toRoles(request.body.roles ?? [])
    const roles = claimed.length > 0 ? claimed : ['user' as const]
    const closed = roles.find(role => !config.SIGNUP_ROLES.includes(role))
    const admin = closed && await findAdmin(request)
    if (closed && !admin) throw notOpen(request, closed)
    await fastify.rejectWeakPassword(password, { username, email })

    // Checked before the costly hash. The unique indexes decide what happens in between.
    await rejectTaken(request.db, username, email)
    const passwordHash = await passwords.hash(password, clientNetwork(request))
    try {
      const newUser = { username, email, passwordHash, roles, unverifiedTtl: admin ? undefined : unverifiedTtl }
      const [user] = await create(newUser, admin, request)
      logSecurityEvent(request, 'user_created', { userId: user?.id, actorId: admin?.userId ?? null, roles })
    } catch (error) {
      if (closed && isDenied(error)) throw notOpen(request, closed)
      // Checked again, since PostgreSQL does not define which index is reported if both are violated.
      if (isTaken(error)) await rejectTaken(request.db, username, email)
      throw error
    }
    return registered
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
