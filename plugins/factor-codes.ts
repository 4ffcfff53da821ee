import fp from 'fastify-plugin'
import { acceptTotpStep, totpOf, useRecoveryCode } from '../sql/second-factors.ts'
import type { Statement } from '../sql/statement.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { hashRecoveryCode, isRecoveryCode } from '../src/factors/recovery-codes.ts'
import { totpStep } from '../src/factors/totp.ts'
import type { AuthenticationMethod } from '../src/tokens/authentication.ts'
import { EncryptionKeys } from '../src/tokens/encryption-keys.ts'

/** A second factor that was verified, and has yet to be used. */
export interface VerifiedFactor {
  /** uses it; returns no row if another request has used it first. `left` counts the recovery codes that are left. */
  spend: Statement<{ credentialId: string, version: number, left?: number }>
  amr: AuthenticationMethod[]
}

declare module 'fastify' {
  interface FastifyInstance {
    /** The keys of the secrets in the database. @throws ApiError NOT_CONFIGURED */
    encryptionKeys (): EncryptionKeys
    /**
     * Verifies a code of a user: of an authenticator app, or a recovery code, which only its use can tell.
     * @returns undefined if it is wrong
     * @throws ApiError NOT_CONFIGURED
     */
    verifyFactorCode (userId: number, code: string, request: FastifyRequest): Promise<VerifiedFactor | undefined>
  }
}

/** The codes of authenticator apps (TOTP, RFC 6238), whose secrets are encrypted, and recovery codes. */
export default fp<{ config: Config }>(async function factorCodes (fastify, { config }) {
  const [first, ...others] = config.ENCRYPTION_KEYS
  const keys = first === undefined ? undefined : new EncryptionKeys(first, ...others)

  fastify.decorate('encryptionKeys', () => {
    if (!keys) throw new ApiError('NOT_CONFIGURED', 'ENCRYPTION_KEYS')
    return keys
  })

  fastify.decorate('verifyFactorCode', async (userId, code, request) => {
    const amr: AuthenticationMethod[] = ['otp', 'mfa']
    if (isRecoveryCode(code)) return { spend: useRecoveryCode(userId, hashRecoveryCode(code)), amr }
    const [totp] = await request.db.query(totpOf(userId))
    if (!totp) return undefined
    const encryption = fastify.encryptionKeys()
    const secret = encryption.decrypt(Buffer.from(totp.secret, 'base64'), userId)
    if (!secret) {
      request.log.error({ userId }, 'a TOTP secret could not be decrypted: its key is not in ENCRYPTION_KEYS')
      return undefined
    }
    const step = totpStep(secret.plain, code)
    if (step === undefined) return undefined
    const stored = secret.isOutdated ? encryption.encrypt(secret.plain, userId).toString('base64') : totp.secret
    return { spend: acceptTotpStep(userId, totp.credentialId, stored, step), amr }
  })
}, { name: 'factor-codes', fastify: '5.x', dependencies: ['deadline'] })
