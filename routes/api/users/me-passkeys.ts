import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { deletePasskey, insertPasskey, passkeysOf, renamePasskey } from '../../../sql/passkeys.ts'
import { userById } from '../../../sql/users.ts'
import { AccessToken, givenName, Message, storedName, Time, Uuid } from '../../../src/api/fields.ts'
import { CreationOptions, Registration } from '../../../src/api/passkeys.ts'
import { RecoveryCodes } from '../../../src/api/recovery-codes.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { authenticatorName } from '../../../src/factors/authenticator-names.ts'
import { challengeOf, verifyRegistration } from '../../../src/factors/webauthn.ts'
import { sha256 } from '../../../src/tokens/sha256.ts'

const renamed = { message: 'The passkey was renamed.' }
const removed = { message: 'The passkey was removed.' }

const PasskeyName = givenName('Work laptop')
const StoredPasskeyName = storedName('Work laptop')

const params = Type.Object({ id: Uuid('the id of a passkey') })

const Passkey = Type.Object({
  ...params.properties,
  name: StoredPasskeyName,
  created: Time,
  lastUsed: Type.Union([Time, Type.Null()], { description: 'to within a day' })
})

/** The caller's passkeys. */
export default (async (fastify, { config }) => {
  const { factorChanges, passkeys } = fastify
  const rateLimit = perMinute(config.RATE_LIMIT_SIGNIN)
  const max = config.MAX_PASSKEYS

  fastify.post('/me/passkeys/options', {
    config: {
      access: 'signed-in', freshness: true, enrolment: true, errors: ['NOT_CONFIGURED', 'PASSKEYS_EXCEEDED'], rateLimit
    },
    schema: {
      summary: 'Returns what a page passes to navigator.credentials.create() to register a passkey of the caller.',
      response: { 200: CreationOptions }
    }
  }, async request => {
    const { caller: { userId }, db } = request
    const [user] = await db.query(userById(userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    const options = await passkeys.creationOptions(user.username, request)
    if (options.excludeCredentials.length >= max) throw new ApiError('PASSKEYS_EXCEEDED', String(max))
    return options
  })

  fastify.post('/me/passkeys', {
    config: {
      access: 'signed-in',
      freshness: true,
      enrolment: true,
      errors: ['NOT_CONFIGURED', 'PASSKEY_INVALID', 'CHALLENGE_INVALID', 'PASSKEYS_EXCEEDED'],
      rateLimit
    },
    schema: {
      summary: 'Registers a passkey of the caller.',
      description: 'Every other session ends, and the current one is fresh. With the first second factor, the response has ' +
        'recovery codes, which are shown once.',
      body: Type.Object({ response: Registration, name: Type.Optional(PasskeyName) }, { additionalProperties: false }),
      response: {
        201: Type.Object({
          id: params.properties.id,
          name: StoredPasskeyName,
          accessToken: AccessToken,
          recoveryCodes: Type.Optional(RecoveryCodes)
        })
      }
    }
  }, async (request, reply) => {
    const { userId } = request.caller
    const { response, name: given } = request.body
    const challenge = challengeOf(response)
    if (challenge === undefined) throw new ApiError('PASSKEY_INVALID', 'it names no challenge')
    const verified = await verifyRegistration(passkeys.relyingParty(), challenge, response)
    if ('reason' in verified) {
      const { reason, detail } = verified
      request.log.info({ userId, detail }, 'a passkey was not accepted')
      throw new ApiError('PASSKEY_INVALID', reason)
    }
    const { aaguid, ...passkey } = verified
    const name = given ?? authenticatorName(aaguid)
    const { credentialId: id, ...added } = await factorChanges.add({
      factor: `a passkey (${name})`,
      amr: ['hwk', 'mfa'],
      challenge: { hash: sha256(challenge), type: 'passkey-registration', invalid: 'CHALLENGE_INVALID' },
      async insert (transaction, { userHandle = '' }) {
        // Checked again: several registrations may have begun before the last place was taken.
        const { length } = await transaction.query(passkeysOf(userId))
        if (length >= max) throw new ApiError('PASSKEYS_EXCEEDED', String(max))
        return await transaction.query(insertPasskey(userId, { ...passkey, userHandle, name }))
      }
    }, request)
    reply.code(201)
    return { id, name, ...added }
  })

  fastify.get('/me/passkeys', {
    config: { access: 'signed-in', enrolment: true },
    schema: {
      summary: 'Lists the caller\'s passkeys, oldest first.',
      response: { 200: Type.Object({ passkeys: Type.Array(Passkey, { maxItems: max }) }) }
    }
  }, async request => {
    const rows = await request.db.query(passkeysOf(request.caller.userId))
    return {
      passkeys: rows.map(({ id, name, createdAt, lastUsedAt }) =>
        ({ id, name, created: createdAt.toISOString(), lastUsed: lastUsedAt?.toISOString() ?? null }))
    }
  })

  fastify.patch('/me/passkeys/:id', {
    config: { access: 'signed-in', freshness: true, errors: ['PASSKEY_NOT_FOUND'] },
    schema: {
      summary: 'Renames one of the caller\'s passkeys.',
      params,
      body: Type.Object({ name: PasskeyName }, { additionalProperties: false }),
      response: { 200: Message(renamed.message) }
    }
  }, async request => {
    const { body: { name }, caller, params: { id } } = request
    const [found] = await request.db.query(renamePasskey(caller.userId, id, name))
    if (!found) throw new ApiError('PASSKEY_NOT_FOUND')
    return renamed
  })

  fastify.delete('/me/passkeys/:id', {
    config: { access: 'signed-in', freshness: true, errors: ['PASSKEY_NOT_FOUND'] },
    schema: {
      summary: 'Removes one of the caller\'s passkeys, which ends every other session.',
      params,
      response: { 200: Message(removed.message) }
    }
  }, async request => {
    await factorChanges.remove(async transaction => {
      const [deleted] = await transaction.query(deletePasskey(request.caller.userId, request.params.id))
      if (!deleted) throw new ApiError('PASSKEY_NOT_FOUND')
      return `a passkey (${deleted.name})`
    }, request)
    return removed
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
