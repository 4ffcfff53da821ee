import type { Static } from '@sinclair/typebox'
import type { AssertionResponse, CreationOptions, RegistrationResponse, RequestOptions } from '../api/passkeys.ts'
import { errorMessage, property } from '../unknown.ts'
import { CHALLENGE_TTL, type ChallengeType } from './challenge.ts'
import type { RelyingParty } from './relying-party.ts'

/**
 * Loads the verification of responses, with its parsers of certificates: 350 files, and a sixth of the start. A service
 * without passkeys never does.
 */
export const loadVerification = async () => await import('@simplewebauthn/server')

/** COSE identifiers of EdDSA, ES256 and RS256: what authenticators use (WebAuthn §5.8.5). */
const ALGORITHMS = [-8, -7, -257]

interface RegisteredPasskey {
  /** the WebAuthn id */
  passkey: string
  transports: string[]
}

/** What a page passes to `navigator.credentials.create()`. */
export const creationOptions = (
  { id, name }: RelyingParty,
  { challenge, userHandle, username, existing }:
  { challenge: string, userHandle: string, username: string, existing: readonly RegisteredPasskey[] }
): Static<typeof CreationOptions> => ({
  challenge,
  rp: { id, name },
  user: { id: userHandle, name: username, displayName: username },
  pubKeyCredParams: ALGORITHMS.map(alg => ({ type: 'public-key', alg })),
  timeout: CHALLENGE_TTL['passkey-registration'] * 1000,
  excludeCredentials: existing.map(({ passkey, transports }) => ({ type: 'public-key', id: passkey, transports })),
  authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
  // Which device a user has is none of the service's business, and browsers would ask for the user's consent.
  attestation: 'none',
  extensions: { credProps: true }
})

/** What a page passes to `navigator.credentials.get()`. */
export const requestOptions = (
  { id }: RelyingParty, challenge: string, type: ChallengeType
): Static<typeof RequestOptions> => ({
  challenge, rpId: id, timeout: CHALLENGE_TTL[type] * 1000, userVerification: 'required'
})

/** The challenge that a response of a browser names, not yet verified; undefined if it names none. */
export function challengeOf ({ response }: RegistrationResponse | AssertionResponse): string | undefined {
  try {
    const challenge = property(JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString()), 'challenge')
    return typeof challenge === 'string' ? challenge : undefined
  } catch {
    return undefined
  }
}

const UNVERIFIED = 'its response could not be verified'

/** Characters of a public key, base64url: what the column accepts, and several times what authenticators use. */
const MAX_KEY_LENGTH = 2800

/**
 * An attestation object (WebAuthn §6.5.4) without its statement, which nobody has asked for. The verification of a
 * statement would fetch the revocation lists that its certificates name, and anybody can make such certificates.
 */
async function withoutStatement (attestationObject: string): Promise<string> {
  const { decodeAttestationObject, isoBase64URL, isoCBOR } = await import('@simplewebauthn/server/helpers')
  const authData = decodeAttestationObject(isoBase64URL.toBuffer(attestationObject)).get('authData')
  const none: Parameters<typeof isoCBOR.encode>[0] = new Map()
  none.set('fmt', 'none').set('attStmt', new Map()).set('authData', authData)
  return isoBase64URL.fromBuffer(isoCBOR.encode(none))
}

interface NewPasskey {
  id: string
  publicKey: string
  counter: number
  transports: string[]
  /** identifies the model of the authenticator; zeros if it does not say */
  aaguid: string
}

/**
 * Verifies the response to a registration (WebAuthn §7.1).
 * @returns the passkey, or the reason why it is not accepted, with a detail for the log
 */
export async function verifyRegistration (
  rp: RelyingParty, challenge: string, { id, rawId, type, response, clientExtensionResults }: RegistrationResponse
): Promise<NewPasskey | { reason: string, detail?: string }> {
  // Not `preferred`: a sign-in without a username must find the passkey on the device.
  if (clientExtensionResults?.credProps?.rk === false) return { reason: 'it is not discoverable' }
  try {
    const { verifyRegistrationResponse } = await loadVerification()
    const attestationObject = await withoutStatement(response.attestationObject)
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: { id, rawId, type, response: { ...response, attestationObject }, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: rp.origins,
      expectedRPID: rp.id,
      requireUserVerification: true,
      supportedAlgorithmIDs: ALGORITHMS
    })
    /* c8 ignore next: without a statement, a response that is not verified throws */
    if (!verified) return { reason: UNVERIFIED }
    const { aaguid, credential: { id: passkey, publicKey: bytes, counter } } = registrationInfo
    const publicKey = Buffer.from(bytes).toString('base64url')
    if (publicKey.length > MAX_KEY_LENGTH) return { reason: 'its public key is too long' }
    const { transports = [] } = response
    return { id: passkey, publicKey, counter, transports, aaguid }
  } catch (error) {
    // The library tells what it has expected and what it was given, which a client could fill a response with.
    return { reason: UNVERIFIED, detail: errorMessage(error) }
  }
}

/**
 * Verifies the response to a request for a passkey (WebAuthn §7.2), but for its counter, which is left to the caller.
 * @returns the signature counter, or undefined if the response is not accepted
 */
export async function verifyAssertion (
  rp: RelyingParty, challenge: string, { id, rawId, type, response }: AssertionResponse,
  { publicKey, userHandle }: { publicKey: string, userHandle: string }
): Promise<number | undefined> {
  const { clientDataJSON, authenticatorData, signature } = response
  if (response.userHandle && response.userHandle !== userHandle) return undefined
  const signed = { clientDataJSON, authenticatorData, signature }
  try {
    const { verifyAuthenticationResponse } = await loadVerification()
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: { id, rawId, type, response: signed, clientExtensionResults: {} },
      expectedChallenge: challenge,
      expectedOrigin: rp.origins,
      expectedRPID: rp.id,
      requireUserVerification: true,
      credential: { id, publicKey: new Uint8Array(Buffer.from(publicKey, 'base64url')), counter: 0 }
    })
    return verified ? authenticationInfo.newCounter : undefined
  } catch {
    return undefined
  }
}
