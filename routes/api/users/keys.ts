import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { keysOf } from '../../../sql/api-keys.ts'
import { userById } from '../../../sql/users.ts'
import { ApiKeyResponse, KeyId, toKeyResponse } from '../../../src/api/api-keys.ts'
import { Id, Message } from '../../../src/api/fields.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'

const deleted = { message: 'The API key was deleted.' }

/** The API keys of any user. */
export default (async (fastify, { config }) => {
  const { apiKeyChanges } = fastify

  fastify.get('/:id/keys', {
    config: { access: 'admin', errors: ['USER_NOT_FOUND'] },
    schema: {
      summary: 'Lists the API keys of a user, newest first.',
      params: Type.Object({ id: Id }),
      response: { 200: Type.Object({ keys: Type.Array(ApiKeyResponse, { maxItems: config.MAX_API_KEYS }) }) }
    }
  }, async request => {
    const { params: { id }, db } = request
    const [user] = await db.query(userById(id))
    if (!user) throw new ApiError('USER_NOT_FOUND')
    return { keys: (await db.query(keysOf(id))).map(toKeyResponse) }
  })

  fastify.delete('/:id/keys/:keyId', {
    config: { access: 'admin', errors: ['KEY_NOT_FOUND'] },
    schema: {
      summary: 'Deletes an API key of a user.',
      params: Type.Object({ id: Id, keyId: KeyId }),
      response: { 200: Message(deleted.message) }
    }
  }, async request => {
    await apiKeyChanges.remove(request.params.id, request.params.keyId, request)
    return deleted
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
