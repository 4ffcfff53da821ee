import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { keysOf } from '../../../sql/api-keys.ts'
import { ApiKeyResponse, KeyId, KeyName, KeyText, toKeyResponse } from '../../../src/api/api-keys.ts'
import { Message } from '../../../src/api/fields.ts'
import { RoleList, toRoles } from '../../../src/api/roles.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const deleted = { message: 'The API key was deleted.' }

const Expiry = Type.String({
  pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2})$',
  maxLength: 35,
  description: 'a time such as 2027-01-31T12:00:00Z',
  examples: ['2027-01-31T12:00:00Z']
})

/** @throws ApiError VALIDATION_FAILED unless it is in the future */
function toExpiry (text: string | undefined): Date | null {
  if (text === undefined) return null
  const expiry = new Date(text)
  // Also an invalid date, whose time is NaN.
  if (!(expiry.getTime() > Date.now())) throw new ApiError('VALIDATION_FAILED', 'expiresAt must be a time in the future')
  return expiry
}

/** The caller's own API keys. */
export default (async (fastify, { config }) => {
  const { apiKeyChanges } = fastify

  fastify.post('/', {
    config: {
      access: 'signed-in', freshness: true, errors: ['ROLE_UNKNOWN', 'ROLE_NOT_HELD', 'KEY_LIMIT_REACHED']
    },
    schema: {
      summary: 'Creates an API key, which this response alone contains.',
      description: 'Without `roles`, the key has those of the caller. It never has a role that its owner has lost.',
      body: Type.Object({
        name: KeyName,
        roles: Type.Optional(RoleList),
        expiresAt: Type.Optional(Expiry)
      }, { additionalProperties: false }),
      response: { 201: Type.Object({ ...ApiKeyResponse.properties, key: KeyText }) }
    }
  }, async (request, reply) => {
    const { name, roles, expiresAt } = request.body
    const options = { name, roles: roles && toRoles(roles), expiresAt: toExpiry(expiresAt) }
    const created = await apiKeyChanges.create(options, request)
    reply.code(201)
    return { ...toKeyResponse(created), key: created.key }
  })

  fastify.get('/', {
    config: { access: 'signed-in' },
    schema: {
      summary: 'Lists the caller\'s API keys, newest first.',
      response: { 200: Type.Object({ keys: Type.Array(ApiKeyResponse, { maxItems: config.MAX_API_KEYS }) }) }
    }
  }, async request => ({ keys: (await request.db.query(keysOf(request.caller.userId))).map(toKeyResponse) }))

  fastify.delete('/:id', {
    config: { access: 'signed-in', errors: ['KEY_NOT_FOUND'] },
    schema: {
      summary: 'Deletes one of the caller\'s API keys.',
      params: Type.Object({ id: KeyId }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    await apiKeyChanges.remove(request.caller.userId, request.params.id, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
