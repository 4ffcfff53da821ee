import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { insertChallenge, pendingTotp } from '../../../sql/challenges.ts'
import { deleteTotp, insertTotp } from '../../../sql/second-factors.ts'
import { userById } from '../../../sql/users.ts'
import { AccessToken, Message, SixDigits } from '../../../src/api/fields.ts'
import { RecoveryCodes } from '../../../src/api/recovery-codes.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError } from '../../../src/errors.ts'
import { newChallenge } from '../../../src/factors/challenge.ts'
import { newTotpSecret, totpStep, totpUri, toText } from '../../../src/factors/totp.ts'

const removed = { message: 'The authenticator app was removed.' }

const APP = 'an authenticator app'

/** The caller's authenticator app. */
export default (async (fastify, { config }) => {
  const { factorChanges } = fastify
  const rateLimit = perMinute(config.RATE_LIMIT_SIGNIN)

  fastify.post('/me/totp', {
    config: { access: 'signed-in', freshness: true, enrolment: true, errors: ['NOT_CONFIGURED'], rateLimit },
    schema: {
      summary: 'Begins to set up an authenticator app for the caller.',
      description: 'Show `uri` as a QR code. Nothing changes until a code of the app is sent, within 15 minutes.',
      response: {
        201: Type.Object({
          secret: Type.String({ pattern: '^[A-Z2-7]{32}$', maxLength: 32, examples: ['JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'] }),
          uri: Type.String({
            pattern: '^otpauth://totp/',
            maxLength: 512,
            examples: ['otpauth://totp/gatehouse:alice?issuer=gatehouse&secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP']
          })
        })
      }
    }
  }, async (request, reply) => {
    const keys = fastify.encryptionKeys()
    const { userId, sessionId } = request.caller
    const [user] = await request.db.query(userById(userId))
    if (!user) throw new ApiError('ACCESS_TOKEN_INVALID')
    const secret = newTotpSecret()
    await request.db.query(insertChallenge({
      challenge: newChallenge(),
      type: 'totp-enrolment',
      userId,
      sessionId,
      data: { secret: keys.encrypt(secret, userId).toString('base64') }
    }))
    reply.code(201)
    return { secret: toText(secret), uri: totpUri(secret, config.PRODUCT_NAME, user.username) }
  })

  fastify.put('/me/totp', {
    config: {
      access: 'signed-in', freshness: true, enrolment: true, errors: ['CODE_INVALID', 'NOT_CONFIGURED'], rateLimit
    },
    schema: {
      summary: 'Makes the app that is being set up a second factor of the caller, in place of an earlier one.',
      description: 'Every other session ends, and the current one is fresh. The recovery codes are shown once; earlier ' +
        'ones are void.',
      body: Type.Object({ code: SixDigits }, { additionalProperties: false }),
      response: { 200: Type.Object({ recoveryCodes: RecoveryCodes, accessToken: AccessToken }) }
    }
  }, async request => {
    const { userId, sessionId } = request.caller
    const [pending] = await request.db.query(pendingTotp(userId, sessionId))
    if (!pending) throw new ApiError('CODE_INVALID')
    const { hash, secret } = pending
    const decrypted = fastify.encryptionKeys().decrypt(Buffer.from(secret, 'base64'), userId)
    const step = decrypted && totpStep(decrypted.plain, request.body.code)
    if (step === undefined) throw new ApiError('CODE_INVALID')
    const { accessToken, recoveryCodes = [] } = await factorChanges.add({
      factor: APP,
      amr: ['otp', 'mfa'],
      challenge: { hash, type: 'totp-enrolment', invalid: 'CODE_INVALID' },
      renewsCodes: true,
      async insert (transaction) {
        await transaction.query(deleteTotp(userId))
        return await transaction.query(insertTotp(userId, secret, step))
      }
    }, request)
    return { recoveryCodes, accessToken }
  })

  fastify.delete('/me/totp', {
    config: { access: 'signed-in', freshness: true, errors: ['TOTP_NOT_FOUND'] },
    schema: {
      summary: 'Removes the caller\'s authenticator app, which ends every other session.',
      response: { 200: Message(removed.message) }
    }
  }, async request => {
    await factorChanges.remove(async transaction => {
      const [deleted] = await transaction.query(deleteTotp(request.caller.userId))
      if (!deleted) throw new ApiError('TOTP_NOT_FOUND')
      return APP
    }, request)
    return removed
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
