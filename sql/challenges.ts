import { Type } from '@sinclair/typebox'
import { CHALLENGE_TTL, type ChallengeType } from '../src/factors/challenge.ts'
import { sha256 } from '../src/tokens/sha256.ts'
import { isKnown } from './credentials.ts'
import { statement } from './statement.ts'

// A challenge is a row that is deleted when it is used, by its type: one that was made for something else is unknown.

interface NewChallenge {
  challenge: string
  type: ChallengeType
  userId?: number
  sessionId?: string
  credentialId?: string
  version?: number
  data?: Record<string, string>
}

export const insertChallenge = statement({
  name: 'insert_challenge',
  text: `INSERT INTO challenges (hash, type, user_id, session_id, credential_id, version, data, expires_at)
    VALUES ($1::text, $2::text, $3::bigint, $4::uuid, $5::uuid, $6::int, $7::jsonb, now() + make_interval(secs => $8::int))`,
  values: ({ challenge, type, userId, sessionId, credentialId, version, data = {} }: NewChallenge) => [
    sha256(challenge), type, userId ?? null, sessionId ?? null, credentialId ?? null, version ?? null, data,
    CHALLENGE_TTL[type]
  ],
  row: Type.Object({})
})

const VALID = 'hash = $1::text AND type = $2::text AND expires_at > now()'

/**
 * The user of a sign-in whose password was verified, with that password, and whether the user has signed in from this
 * network before.
 */
export const challengedSignIn = statement({
  name: 'challenged_sign_in',
  text: `SELECT users.id, username, email, credential_id AS "credentialId", version,
      ${isKnown('$3::text')}
    FROM challenges JOIN users ON users.id = challenges.user_id
    WHERE ${VALID} AND credential_id IS NOT NULL AND version IS NOT NULL`,
  values: (hash: string, network: string) => [hash, 'sign-in' satisfies ChallengeType, network],
  row: Type.Object({
    id: Type.Integer(),
    username: Type.String(),
    email: Type.String(),
    credentialId: Type.String(),
    version: Type.Integer(),
    isKnown: Type.Boolean()
  })
})

/** Uses a challenge. Of concurrent transactions one gets the row. */
export const takeChallenge = statement({
  name: 'take_challenge',
  text: `DELETE FROM challenges WHERE ${VALID} RETURNING user_id AS "userId", session_id AS "sessionId", data`,
  values: (hash: string, type: ChallengeType) => [hash, type],
  row: Type.Object({
    userId: Type.Union([Type.Integer(), Type.Null()]),
    sessionId: Type.Union([Type.String(), Type.Null()]),
    data: Type.Record(Type.String(), Type.String())
  })
})

/** The TOTP enrolment that a session has begun last. */
export const pendingTotp = statement({
  name: 'pending_totp',
  text: `SELECT hash, data ->> 'secret' AS secret FROM challenges
    WHERE user_id = $1::bigint AND session_id = $2::uuid AND type = 'totp-enrolment' AND expires_at > now()
    ORDER BY created_at DESC LIMIT 1`,
  values: (userId: number, sessionId: string) => [userId, sessionId],
  row: Type.Object({ hash: Type.String(), secret: Type.String() })
})

/** Deletes the challenges of a user. */
export const deleteChallenges = statement({
  name: 'delete_challenges',
  text: 'DELETE FROM challenges WHERE user_id = $1::bigint',
  values: (userId: number) => [userId],
  row: Type.Object({})
})
