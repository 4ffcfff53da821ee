import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import pg from 'pg'
import { availability, insertUser } from '../../../sql/users.ts'
import { isRole, type Role } from '../../../src/access.ts'
import type { Config } from '../../../src/config.ts'
import { ApiError } from '../../../src/errors.ts'
import { Email, Message, NewPassword, Username } from '../../../src/schemas.ts'

const done = { message: 'User was registered successfully!' }

const Body = Type.Object({
  username: Username,
  email: Email,
  password: NewPassword,
  roles: Type.Optional(Type.Array(Type.String({ maxLength: 64, description: 'the name of a role' }), {
    maxItems: 16,
    description: 'a list of at most 16 role names',
    examples: [['user']]
  }))
}, { additionalProperties: false })

export default (async (fastify, { config }) => {
  const { db, passwords } = fastify

  fastify.post('/signup', {
    config: {
      access: 'public',
      errors: ['USERNAME_TAKEN', 'EMAIL_TAKEN', 'ROLE_UNKNOWN', 'ROLE_NOT_OPEN', 'BUSY']
    },
    schema: { summary: 'Makes a user.', body: Body, response: { 200: Message(done.message) } }
  }, async request => {
    const { username, email, password } = request.body
    const roles = rolesOf(request.body.roles)
    const closed = roles.find(role => !config.SIGNUP_ROLES.includes(role))
    if (closed && !isAdmin(request)) throw new ApiError('ROLE_NOT_OPEN', closed)

    // Before the hash is paid for; what happens between here and the insert is the unique indexes' business.
    await refuseTaken(username, email)
    const passwordHash = await passwords.hash(password)
    try {
      await db.query(insertUser({ username, email, passwordHash, roles }))
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
  function isAdmin (request: FastifyRequest): boolean {
    try {
      return fastify.identify(request).roles.includes('admin')
    } catch {
      return false
    }
  }
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>

function rolesOf (names: string[] = []): Role[] {
  const unknown = names.find(name => !isRole(name))
  if (unknown !== undefined) throw new ApiError('ROLE_UNKNOWN', unknown)
  const claimed = new Set(names.filter(isRole))
  return claimed.size > 0 ? [...claimed] : ['user']
}

const isTaken = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && error.code === '23505' &&
  (error.constraint === 'users_username_key' || error.constraint === 'users_email_key')
