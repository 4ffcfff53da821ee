import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import pg from 'pg'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { availability, insertUser } from '../../../sql/users.ts'
import { clientAddress } from '../../../src/client-address.ts'
import type { Config } from '../../../src/config.ts'
import { ApiError } from '../../../src/errors.ts'
import { tokenOrNone } from '../../../src/openapi.ts'
import { Email, Message, newPassword, RoleList, toRoles, Username } from '../../../src/schemas.ts'
import { logSecurityEvent } from '../../../src/security-events.ts'

const done = { message: 'User was registered successfully!' }

export default (async (fastify, { config }) => {
  const { db, passwords } = fastify

  fastify.post('/signup', {
    config: {
      access: 'public',
      action: 'sign_up',
      errors: ['USERNAME_TAKEN', 'EMAIL_TAKEN', 'ROLE_UNKNOWN', 'ROLE_NOT_OPEN', 'PASSWORD_WEAK', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNUP)
    },
    schema: {
      summary: 'Makes a user.',
      security: tokenOrNone,
      body: Type.Object({
        username: Username,
        email: Email,
        password: newPassword(config.PASSWORD_MIN_LENGTH),
        roles: Type.Optional(RoleList(16))
      }, { additionalProperties: false }),
      response: { 200: Message(done.message) }
    }
  }, async request => {
    const { username, email, password } = request.body
    const claimed = toRoles(request.body.roles ?? [])
    const roles = claimed.length > 0 ? claimed : ['user' as const]
    const closed = roles.find(role => !config.SIGNUP_ROLES.includes(role))
    const actorId = closed ? await adminId(request) : null
    if (closed && actorId === null) throw new ApiError('ROLE_NOT_OPEN', closed)
    fastify.refuseWeakPassword(password, { username, email })

    // Before the hash is paid for; what happens between here and the insert is the unique indexes' business.
    await refuseTaken(username, email)
    const passwordHash = await passwords.hash(password)
    try {
      const [made] = await db.query(insertUser({ username, email, passwordHash, roles }, { actorId, ip: clientAddress(request) }))
      logSecurityEvent(request, 'user_created', { userId: made?.id, actorId, roles })
    } catch (error) {
      if (isTaken(error)) await refuseTaken(username, email)
      throw error
    }
    return done
  })

  // Asked again after a violated index too: when both are taken, which index reports it first is not defined.
  async function refuseTaken (username: string, email: string): Promise<void> {
    const [found] = await db.query(availability(username, email))
    if (found?.usernameTaken) throw new ApiError('USERNAME_TAKEN')
    if (found?.emailTaken) throw new ApiError('EMAIL_TAKEN')
  }

  // Known front-ends send their token, often an expired one, on sign-up as well: it is looked at only where a role
  // needs it, and a bad one is no error.
  async function adminId (request: FastifyRequest): Promise<number | null> {
    try {
      const { userId, roles } = await fastify.identify(request)
      return roles.includes('admin') ? userId : null
    } catch (error) {
      if (error instanceof ApiError && error.code === 'DATABASE_UNAVAILABLE') throw error
      return null
    }
  }
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>

const isTaken = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' &&
  (error.constraint === 'users_username_key' || error.constraint === 'users_email_key')
