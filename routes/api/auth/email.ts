import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import type { Proof } from '../../../plugins/email-changes.ts'
import type { PresentedEmailToken } from '../../../plugins/email-tokens.ts'
import { perMinute } from '../../../plugins/rate-limits.ts'
import { credentialsById } from '../../../sql/credentials.ts'
import { userById } from '../../../sql/users.ts'
import { clientNetwork } from '../../../src/api/client-address.ts'
import { presentedFields, presentedIn } from '../../../src/api/email-token-body.ts'
import { Email, EmailToken, GivenPassword, Message, newPassword } from '../../../src/api/fields.ts'
import type { Config } from '../../../src/config/read-settings.ts'
import { ApiError, isTokenDenial } from '../../../src/errors.ts'
import { logSecurityEvent } from '../../../src/telemetry/security-events.ts'

const requested = { message: 'If this address has to be verified, a mail is on its way.' }
const verified = { message: 'The e-mail address was confirmed.' }
const undone = { message: 'The e-mail address was restored, and a mail to choose a new password is on its way.' }

/** What a request proves beside the mailbox. */
interface GivenProof {
  password?: string
  newPassword?: string
}

export default (async (fastify, { config }) => {
  const { emailChanges, mail, passwords, reauthentication } = fastify

  fastify.post('/email/verification', {
    config: { access: 'public', errors: ['NOT_CONFIGURED'], rateLimit: perMinute(config.RATE_LIMIT_EMAIL) },
    schema: {
      summary: 'Sends a link and a code to verify an address.',
      description: 'The response is the same for every address.',
      body: Type.Object({ email: Email }, { additionalProperties: false }),
      response: { 200: Message(requested.message) }
    }
  }, async request => {
    mail.requireConfigured()
    if (config.EMAIL_VERIFICATION === 'off') throw new ApiError('NOT_CONFIGURED', 'EMAIL_VERIFICATION')
    await mail.queue(request.db, { kind: 'verification', recipient: request.body.email })
    mail.wakeLater()
    return requested
  })

  /** Verifies the password of a user who is not signed in. @throws ApiError PASSWORD_INVALID, also if deleted since */
  async function verifyPassword (userId: number, password: string, request: FastifyRequest): Promise<Proof> {
    const [user] = await request.db.query(credentialsById(userId))
    if (!user) {
      logSecurityEvent(request, 'authn_login_fail', { userId })
      throw new ApiError('PASSWORD_INVALID')
    }
    return { verified: await reauthentication.verifyPasswordOf(user, password, request) }
  }

  /** Hashes the new password of a user whose address was never verified. @throws ApiError PROOF_REQUIRED */
  async function choosePassword ({ userId }: PresentedEmailToken, password: string, request: FastifyRequest) {
    const [user] = await request.db.query(userById(userId))
    if (!user || user.emailVerified) throw new ApiError('PROOF_REQUIRED')
    await fastify.rejectWeakPassword(password, user)
    return { hash: await passwords.hash(password, clientNetwork(request)) }
  }

  async function proofOf (presented: PresentedEmailToken, given: GivenProof, request: FastifyRequest): Promise<Proof> {
    const { userId } = presented
    const caller = await fastify.identify(request).catch((error: unknown) => {
      if (isTokenDenial(error)) return undefined
      throw error
    })
    if (caller?.userId === userId) return { caller }
    if (given.password !== undefined) return await verifyPassword(userId, given.password, request)
    if (given.newPassword !== undefined) return await choosePassword(presented, given.newPassword, request)
    throw new ApiError('PROOF_REQUIRED')
  }

  fastify.post('/email/verify', {
    config: {
      access: 'public',
      errors: [
        'NOT_CONFIGURED', 'TOKEN_INVALID', 'CODE_INVALID', 'TOO_MANY_REQUESTS', 'PROOF_REQUIRED', 'PASSWORD_INVALID', 'PASSWORD_WEAK',
        'EMAIL_TAKEN', 'SIGNIN_THROTTLED', 'BUSY', 'ACCESS_TOKEN_INVALID'
      ],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Verifies an address, or confirms a new one.',
      description: 'Proves that the user acts by an access token of the user, by `password`, or by `newPassword` for a ' +
        'user whose address was never verified: that ends every session and replaces the password.',
      body: Type.Object({
        ...presentedFields,
        password: Type.Optional(GivenPassword),
        newPassword: Type.Optional(newPassword(config.PASSWORD_MIN_LENGTH))
      }, { additionalProperties: false }),
      response: { 200: Message(verified.message) }
    }
  }, async request => {
    mail.requireConfigured()
    const presented = await fastify.presentEmailToken(
      presentedIn(request.body), ['verification', 'email-change'], request)
    await emailChanges.verify(presented, await proofOf(presented, request.body, request), request)
    return verified
  })

  fastify.post('/email/undo', {
    config: {
      access: 'public',
      errors: ['NOT_CONFIGURED', 'TOKEN_INVALID', 'EMAIL_TAKEN'],
      rateLimit: perMinute(config.RATE_LIMIT_SIGNIN)
    },
    schema: {
      summary: 'Undoes a change of the address.',
      description: 'Ends every session, makes the password, all API keys and pending links invalid, and mails a link to choose a ' +
        'new password to the restored address.',
      body: Type.Object({ token: EmailToken }, { additionalProperties: false }),
      response: { 200: Message(undone.message) }
    }
  }, async request => {
    mail.requireConfigured()
    await emailChanges.undo(await fastify.presentEmailToken(request.body, ['undo'], request), request)
    return undone
  })
}) satisfies FastifyPluginAsyncTypebox<{ config: Config }>
