import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { Text } from '../../../src/api/fields.ts'
import { RoleParameter, toRoles } from '../../../src/api/roles.ts'
import { ApiError } from '../../../src/errors.ts'
import { createQuietLog } from '../../../src/telemetry/security-events.ts'

const text = 'OK'

/**
 * Forward authentication: a proxy asks whether to pass a request on, and gives the headers of the response to the API
 * behind it. Usernames need no encoding as header values: the table `users` restricts them to ASCII.
 */
export default (async fastify => {
  const logQuietly = createQuietLog()

  fastify.get('/check', {
    config: { access: 'signed-in', apiKeys: true, missing: 401, deadline: false, errors: ['ROLE_UNKNOWN', 'ROLE_NOT_HELD'] },
    schema: {
      summary: 'Tells a proxy whether a request may pass.',
      description: 'The response has the headers `x-user-id`, `x-user-name`, `x-user-roles` (such as `user,admin`) and ' +
        '`x-auth-method` (`session` or `key`).',
      querystring: Type.Object({ role: RoleParameter }, { additionalProperties: false }),
      response: { 200: Text(text) }
    }
  }, (request, reply) => {
    const { anyCaller: caller, query: { role = [] } } = request
    const required = toRoles([role].flat())
    if (required.length > 0 && !required.some(name => caller.roles.includes(name))) {
      logQuietly(request, 'authz_fail', caller.userId, { userId: caller.userId, route: request.routeOptions.url })
      throw new ApiError('ROLE_NOT_HELD', required.join(' or '))
    }
    reply.headers({
      'x-user-id': String(caller.userId),
      'x-user-name': caller.username,
      'x-user-roles': caller.roles.join(','),
      'x-auth-method': 'keyId' in caller ? 'key' : 'session'
    }).send(text)
  })
}) satisfies FastifyPluginAsyncTypebox
