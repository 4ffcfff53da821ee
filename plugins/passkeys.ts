import { randomBytes } from 'node:crypto'
import type { Static } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { insertChallenge } from '../sql/challenges.ts'
import type { CredentialVersion } from '../sql/credentials.ts'
import { passkeyOf, passkeysOf, takePasskeyChallenge, usePasskey } from '../sql/passkeys.ts'
import type { AssertionResponse, CreationOptions, RequestOptions } from '../src/api/passkeys.ts'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { newChallenge } from '../src/factors/challenge.ts'
import { type RelyingParty, relyingPartyOf } from '../src/factors/relying-party.ts'
import {
  challengeOf, creationOptions, loadVerification, requestOptions, verifyAssertion
} from '../src/factors/webauthn.ts'
import { logSecurityEvent } from '../src/telemetry/security-events.ts'
import { sha256 } from '../src/tokens/sha256.ts'
import type { VerifiedFactor } from './factor-codes.ts'

interface PasskeyUser {
  id: number
  username: string
  email: string
  disabled: boolean
  emailVerified: boolean
}

/** The functions throw ApiError NOT_CONFIGURED if the relying party is unknown. */
export interface Passkeys {
  isConfigured: boolean
  relyingParty (): RelyingParty
  /** Begins the registration of a passkey of the caller. */
  creationOptions (username: string, request: FastifyRequest): Promise<Static<typeof CreationOptions>>
  /** Begins a sign-in or, for the caller, a reauthentication. */
  requestOptions (
    type: 'passkey-sign-in' | 'reauthentication', request: FastifyRequest
  ): Promise<Static<typeof RequestOptions>>
  /**
   * Verifies a passkey of a user who is known.
   * @param challenge that was made for it
   * @returns undefined if it is not accepted
   */
  verifyOwn (
    userId: number, assertion: AssertionResponse, challenge: string | undefined, request: FastifyRequest
  ): Promise<VerifiedFactor | undefined>
  /**
   * Verifies the passkey of a sign-in, and uses the challenge.
   * @throws ApiError SECOND_FACTOR_INVALID, CHALLENGE_INVALID, TOO_MANY_REQUESTS or BUSY
   */
  verifySignIn (
    assertion: AssertionResponse, request: FastifyRequest
  ): Promise<{ user: PasskeyUser, verified: CredentialVersion }>
}

declare module 'fastify' {
  interface FastifyInstance {
    passkeys: Passkeys
  }
}

/** The ceremonies of WebAuthn. */
export default fp<{ config: Config }>(async function passkeys (fastify, { config }) {
  const configured = relyingPartyOf(config)
  // Not with the first passkey, whose user would wait.
  if (configured) await loadVerification()

  function relyingParty (): RelyingParty {
    if (!configured) throw new ApiError('NOT_CONFIGURED', 'PASSKEY_RP_ID')
    return configured
  }

  /** The user of a passkey that has signed the challenge; undefined if it is not accepted. */
  async function verify (rp: RelyingParty, assertion: AssertionResponse, { db }: FastifyRequest) {
    const challenge = challengeOf(assertion)
    const { userHandle } = assertion.response
    // A discoverable passkey always names its user.
    if (challenge === undefined || !userHandle) return undefined
    const [found] = await db.query(takePasskeyChallenge(sha256(challenge), assertion.id, userHandle))
    if (!found) return undefined
    if (!found.isChallenged) throw new ApiError('CHALLENGE_INVALID')
    const counter = await verifyAssertion(rp, challenge, assertion, found)
    return counter === undefined ? undefined : { found, counter }
  }

  function logCounter (counter: number, known: { userId: number, counter: number }, request: FastifyRequest): void {
    // A copy of the device, perhaps. It is not refused: synced passkeys always say 0.
    if (counter < known.counter) logSecurityEvent(request, 'authn_passkey_counter_fell', { userId: known.userId })
  }

  fastify.decorate('passkeys', {
    isConfigured: configured !== undefined,
    relyingParty,

    async creationOptions (username, { caller: { userId, sessionId }, db }) {
      const rp = relyingParty()
      const existing = await db.query(passkeysOf(userId))
      const challenge = newChallenge()
      // Random: neither the id nor the address of a user may be read from a lost device (WebAuthn §14.6.1).
      const userHandle = existing[0]?.userHandle ?? randomBytes(32).toString('base64url')
      await db.query(insertChallenge({
        challenge, type: 'passkey-registration', userId, sessionId, data: { userHandle }
      }))
      return creationOptions(rp, { challenge, userHandle, username, existing })
    },

    async requestOptions (type, request) {
      const rp = relyingParty()
      const challenge = newChallenge()
      // Nobody is signed in yet otherwise.
      const owner = type === 'reauthentication' ? request.caller : undefined
      await request.db.query(insertChallenge({
        challenge, type, ...owner && { userId: owner.userId, sessionId: owner.sessionId }
      }))
      return requestOptions(rp, challenge, type)
    },

    async verifyOwn (userId, assertion, challenge, request) {
      const rp = relyingParty()
      const [passkey] = await request.db.query(passkeyOf(userId, assertion.id))
      if (!passkey || challenge === undefined) return undefined
      const counter = await verifyAssertion(rp, challenge, assertion, passkey)
      if (counter === undefined) return undefined
      logCounter(counter, passkey, request)
      return { spend: usePasskey(passkey, counter), amr: ['hwk', 'mfa'] }
    },

    async verifySignIn (assertion, request) {
      const rp = relyingParty()
      const verified = await fastify.limitFailedSignIns(request,
        async () => await verify(rp, assertion, request) ?? false)
      if (!verified) {
        logSecurityEvent(request, 'authn_login_fail', { reason: 'passkey' })
        throw new ApiError('SECOND_FACTOR_INVALID')
      }
      const { found, counter } = verified
      const { userId, credentialId, version, username, email, disabled, emailVerified } = found
      logCounter(counter, found, request)
      // Synced passkeys always say 0, which saves a statement.
      if (counter !== found.counter) await request.db.query(usePasskey(found, counter))
      return {
        user: { id: userId, username, email, disabled, emailVerified },
        verified: { userId, credentialId, version }
      }
    }
  })
}, { name: 'passkeys', fastify: '5.x', dependencies: ['deadline', 'failed-sign-ins', 'guard'] })
