import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { credentialsByUsername, upgradePasswordHash } from '../../../sql/users.ts'
import { authority } from '../../../src/access.ts'
import { ApiError } from '../../../src/errors.ts'
import { Authorities, GivenPassword, GivenUsername, UserId } from '../../../src/schemas.ts'

const Body = Type.Object({ username: GivenUsername, password: GivenPassword }, { additionalProperties: false })

const Reply = Type.Object({
  id: UserId,
  username: Type.String(),
  email: Type.String(),
  roles: Authorities,
  accessToken: Type.String(),
  refreshToken: Type.String()
})

export default (async fastify => {
  const { db, passwords, sessions } = fastify

  fastify.post('/signin', {
    config: { access: 'public', errors: ['USER_NOT_FOUND', 'PASSWORD_INVALID', 'BUSY'] },
    schema: { summary: 'Opens a session: an access token and a refresh token.', body: Body, response: { 200: Reply } }
  }, async request => {
    const { username, password } = request.body
    const [user] = await db.query(credentialsByUsername(username))
    // A user who does not exist costs a hash as well, so that the time does not tell the two apart.
    const matches = await passwords.verify(user?.passwordHash, password)
    if (!user) throw new ApiError('USER_NOT_FOUND')
    if (!matches) throw new ApiError('PASSWORD_INVALID')

    const stronger = await passwords.strengthen(user.passwordHash, password)
    if (stronger) await db.query(upgradePasswordHash(user.id, user.passwordHash, stronger))

    const tokens = await sessions.open(user, request)
    return { id: user.id, username: user.username, email: user.email, roles: user.roles.map(authority), ...tokens }
  })
}) satisfies FastifyPluginAsyncTypebox
