import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { credentialsByUsername, upgradePasswordHash } from '../../../sql/users.ts'
import { authority } from '../../../src/access.ts'
import type { Config } from '../../../src/config.ts'
import { ApiError } from '../../../src/errors.ts'
import { Authorities, Email, GivenPassword, GivenUsername, Tokens, UserId, Username } from '../../../src/schemas.ts'
import { logSecurityEvent } from '../../../src/security-events.ts'

const Body = Type.Object({ username: GivenUsername, password: GivenPassword }, { additionalProperties: false })

const Reply = Type.Object({
  id: UserId,
  username: Username,
  email: Email,
  roles: Authorities,
  ...Tokens
})

export default (async (fastify, { config }) => {
  const { db, passwords, sessions } = fastify

  fastify.post('/signin', {
    config: {
      access: 'public',
      action: 'sign_in',
      errors: ['USER_NOT_FOUND', 'PASSWORD_INVALID', 'ACCOUNT_DISABLED', 'SIGNIN_THROTTLED', 'BUSY'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: { summary: 'Opens a session: an access token and a refresh token.', body: Body, response: { 200: Reply } }
  }, async request => {
    const { username, password } = request.body
    let user = await judge(request, username, password)
    let tokens = await sessions.open(user, request)
    // The account has changed since its password was judged: judged again, by what it is now.
    if (!tokens) {
      user = await judge(request, username, password)
      tokens = await sessions.open(user, request)
    }
    if (!tokens) throw new ApiError('BUSY')
    logSecurityEvent(request, 'authn_login_success', { userId: user.id })
    return { id: user.id, username: user.username, email: user.email, roles: user.roles.map(authority), ...tokens }
  })

  /** The account whose name and password these are. @throws ApiError */
  async function judge (request: FastifyRequest, username: string, password: string) {
    const find = async () => (await db.query(credentialsByUsername(username)))[0]
    let user: Awaited<ReturnType<typeof find>>
    const matches = await fastify.limitGuesses(username, request, async () => {
      user = await find()
      // A user who does not exist costs a hash as well, so that the time does not tell the two apart.
      return await passwords.verify(user?.passwordHash, password)
    })
    if (!matches) logSecurityEvent(request, 'authn_login_fail', { userId: user?.id })
    if (!user) throw new ApiError('USER_NOT_FOUND')
    if (!matches) throw new ApiError('PASSWORD_INVALID')
    if (user.disabled) {
      logSecurityEvent(request, 'authn_login_fail', { userId: user.id, reason: 'disabled' })
      throw new ApiError('ACCOUNT_DISABLED')
    }
    const stronger = await passwords.strengthen(user.passwordHash, password)
    if (!stronger) return user
    await db.query(upgradePasswordHash(user.id, user.passwordHash, stronger))
    return { ...user, passwordHash: stronger }
  }
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
