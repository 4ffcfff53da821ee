import { randomBytes } from 'node:crypto'

/** What a challenge is for. */
export type ChallengeType =
  | 'sign-in'
  | 'password-reset'
  | 'reauthentication'
  | 'passkey-sign-in'
  | 'passkey-registration'
  | 'totp-enrolment'

/** Seconds for which a challenge of each type is valid. */
export const CHALLENGE_TTL: Record<ChallengeType, number> = {
  'sign-in': 300,
  'password-reset': 300,
  reauthentication: 300,
  // A page with conditional UI requests it when it opens, long before a person signs in.
  'passkey-sign-in': 900,
  'passkey-registration': 300,
  'totp-enrolment': 900
}

/** @returns 256 random bits, base64url, which WebAuthn signs as they are */
export const newChallenge = (): string => randomBytes(32).toString('base64url')
