import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { insertChallenge, takeChallenge } from '../sql/challenges.ts'
import type { CredentialVersion } from '../sql/credentials.ts'
import type { Queryable } from '../sql/database.ts'
import { factorsOf, lockEnabledUser } from '../sql/second-factors.ts'
import type { PresentedFactor } from '../src/api/second-factor.ts'
import { ApiError } from '../src/errors.ts'
import { type ChallengeType, newChallenge } from '../src/factors/challenge.ts'
import { isRecoveryCode } from '../src/factors/recovery-codes.ts'
import { challengeOf } from '../src/factors/webauthn.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import type { AuthenticationMethod } from '../src/tokens/authentication.ts'
import { sha256 } from '../src/tokens/sha256.ts'

interface FactorOwner {
  id: number
  email: string
  username: string
}

/** What a second factor is presented for. */
interface Purpose {
  type: 'sign-in' | 'password-reset' | 'reauthentication'
  /** the challenge; without one, a passkey names its own and a code needs none */
  challenge?: string
}

/** A second factor that was used in a transaction. */
interface UsedFactor {
  credential: CredentialVersion
  amr: AuthenticationMethod[]
}

export interface SecondFactors {
  /**
   * Creates the error that asks for a second factor, with a challenge for it.
   * @param password that was verified before; the challenge is void once it is changed
   */
  required (
    type: Purpose['type'], user: { id: number, sessionId?: string }, request: FastifyRequest, password?: CredentialVersion
  ): Promise<ApiError>
  /**
   * Verifies a second factor, and uses it in the transaction of what it permits. Wrong codes of a user are counted
   * together, whatever they are presented for.
   * @throws ApiError SECOND_FACTOR_INVALID, CHALLENGE_INVALID, SIGNIN_THROTTLED, and what `work` throws
   */
  use <Result> (
    user: FactorOwner, presented: PresentedFactor, purpose: Purpose, request: FastifyRequest,
    work: (transaction: Queryable, used: UsedFactor) => Promise<Result>
  ): Promise<Result>
}

declare module 'fastify' {
  interface FastifyInstance {
    secondFactors: SecondFactors
  }
}

/** The second factors of users: authenticator apps (TOTP), recovery codes and passkeys. */
export default fp(async function secondFactors (fastify) {
  const { mail, passkeys } = fastify
  fastify.decorate('secondFactors', {
    async required (type, { id: userId, sessionId }, request, password) {
      const challenge = newChallenge()
      const [factors] = await request.db.query(factorsOf(userId))
      await request.db.query(insertChallenge({
        challenge,
        type,
        userId,
        ...sessionId !== undefined && { sessionId },
        ...password && { credentialId: password.credentialId, version: password.version }
      }))
      const methods = [
        ...factors?.totp ? ['totp'] : [],
        ...factors && factors.passkeys > 0 && passkeys.isConfigured ? ['passkey'] : [],
        ...factors && factors.recoveryCodes > 0 ? ['recovery-code'] : []
      ]
      return new ApiError('SECOND_FACTOR_REQUIRED', undefined, { body: { challenge, methods } })
    },

    async use (user, presented, purpose, request, work) {
      const { id: userId, username, email: recipient } = user
      const challenge = purpose.challenge ?? ('passkey' in presented ? challengeOf(presented.passkey) : undefined)

      async function attempt () {
        const verified = 'code' in presented
          ? await fastify.verifyFactorCode(userId, presented.code, request)
          : await passkeys.verifyOwn(userId, presented.passkey, challenge, request)
        if (!verified) return false
        const done = await request.db.transaction(async transaction => {
          // First, as in every other transaction.
          const [locked] = await transaction.query(lockEnabledUser(userId))
          if (!locked) return undefined
          const [spent] = await transaction.query(verified.spend)
          if (!spent) return undefined
          if (challenge !== undefined) await takeOwnChallenge(transaction, challenge, userId, purpose.type, request)
          const { left, ...version } = spent
          if (left !== undefined) {
            const data = { username, left: String(left) }
            await mail.queue(transaction, { kind: 'recovery-code-used', recipient, userId, data })
          }
          return { result: await work(transaction, { credential: { userId, ...version }, amr: verified.amr }) }
        })
        return done ?? false
      }

      // Neither a passkey nor a recovery code can be guessed. Without a delay, both are a way in while somebody who has
      // stolen the password or a session guesses codes of the app.
      const isGuessable = 'code' in presented && !isRecoveryCode(presented.code)
      const done = isGuessable ? await fastify.throttleCode(user, request, attempt) : await attempt()
      if (done) {
        mail.wake()
        return done.result
      }
      if ('code' in presented && !isGuessable) await fastify.countCodeFailure(user.email)
      logSecurityEvent(request, 'authn_login_fail', { userId, reason: 'second factor' })
      throw new ApiError('SECOND_FACTOR_INVALID')
    }
  })
}, {
  name: 'second-factors',
  fastify: '5.x',
  dependencies: ['deadline', 'factor-codes', 'guard', 'mail', 'passkeys', 'sign-in-throttle']
})

/** Uses a challenge of a user. @throws ApiError CHALLENGE_INVALID */
async function takeOwnChallenge (
  transaction: Queryable, challenge: string, userId: number, type: ChallengeType, request: FastifyRequest
): Promise<void> {
  const [taken] = await transaction.query(takeChallenge(sha256(challenge), type))
  const isOwn = taken?.userId === userId &&
    (taken.sessionId === null || taken.sessionId === request.caller.sessionId)
  if (!isOwn) throw new ApiError('CHALLENGE_INVALID')
}
