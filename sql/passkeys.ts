import { Type } from '@sinclair/typebox'
import type { ChallengeType } from '../src/factors/challenge.ts'
import type { CredentialVersion } from './credentials.ts'
import { statement } from './statement.ts'

const Passkey = {
  userId: Type.Integer(),
  credentialId: Type.String(),
  version: Type.Integer(),
  publicKey: Type.String(),
  userHandle: Type.String(),
  counter: Type.Integer()
}

const PASSKEY = `user_id AS "userId", credentials.id AS "credentialId", version, data ->> 'publicKey' AS "publicKey",
      data ->> 'userHandle' AS "userHandle", (data ->> 'counter')::bigint AS counter`

/** A passkey of a user, by its WebAuthn id. */
export const passkeyOf = statement({
  name: 'passkey_of',
  text: `SELECT ${PASSKEY} FROM credentials WHERE user_id = $1::bigint AND kind = 'passkey' AND data ->> 'id' = $2::text`,
  values: (userId: number, id: string) => [userId, id],
  row: Type.Object(Passkey)
})

/**
 * Uses the challenge of a sign-in, and returns the passkey that was presented, with its user. Returns no row if the
 * passkey is unknown; `isChallenged` is whether the challenge was valid. One statement, since it is on the hot path.
 * Users have random handles of 256 bits, so a passkey with the id of another one is told apart from it.
 */
export const takePasskeyChallenge = statement({
  name: 'take_passkey_challenge',
  text: `WITH taken AS (
      DELETE FROM challenges WHERE hash = $1::text AND type = $2::text AND expires_at > now() RETURNING hash
    )
    SELECT EXISTS (SELECT FROM taken) AS "isChallenged", ${PASSKEY}, username, email,
      disabled_at IS NOT NULL AS disabled, email_verified_at IS NOT NULL AS "emailVerified"
    FROM credentials JOIN users ON users.id = user_id
    WHERE kind = 'passkey' AND data ->> 'id' = $3::text AND data ->> 'userHandle' = $4::text`,
  values: (hash: string, id: string, userHandle: string) =>
    [hash, 'passkey-sign-in' satisfies ChallengeType, id, userHandle],
  row: Type.Object({
    isChallenged: Type.Boolean(),
    ...Passkey,
    username: Type.String(),
    email: Type.String(),
    disabled: Type.Boolean(),
    emailVerified: Type.Boolean()
  })
})

/** Records a use of a passkey, with its signature counter. Returns no row if the passkey was removed since. */
export const usePasskey = statement({
  name: 'use_passkey',
  text: `UPDATE credentials SET data = jsonb_set(data, '{counter}', to_jsonb($3::bigint)), last_used_at = now()
    WHERE user_id = $1::bigint AND id = $2::uuid AND kind = 'passkey' RETURNING id AS "credentialId", version`,
  values: ({ userId, credentialId }: Pick<CredentialVersion, 'userId' | 'credentialId'>, counter: number) =>
    [userId, credentialId, counter],
  row: Type.Object({ credentialId: Type.String(), version: Type.Integer() })
})

const Listed = Type.Object({
  id: Type.String(),
  passkey: Type.String(),
  userHandle: Type.String(),
  transports: Type.Array(Type.String()),
  name: Type.String(),
  createdAt: Type.Date(),
  lastUsedAt: Type.Union([Type.Date(), Type.Null()])
})

/** The passkeys of a user, oldest first. `passkey` is the WebAuthn id. */
export const passkeysOf = statement({
  name: 'passkeys_of',
  text: `SELECT id, data ->> 'id' AS passkey, data ->> 'userHandle' AS "userHandle",
      ARRAY(SELECT jsonb_array_elements_text(data -> 'transports')) AS transports,
      data ->> 'name' AS name, created_at AS "createdAt", last_used_at AS "lastUsedAt"
    FROM credentials WHERE user_id = $1::bigint AND kind = 'passkey' ORDER BY created_at, id`,
  values: (userId: number) => [userId],
  row: Listed
})

/** What `credentials.data` holds of a passkey. */
interface PasskeyData {
  id: string
  publicKey: string
  userHandle: string
  counter: number
  transports: readonly string[]
  name: string
}

/** Adds a passkey. Returns no row if somebody has registered one with its id before (WebAuthn §7.1). */
export const insertPasskey = statement({
  name: 'insert_passkey',
  text: `INSERT INTO credentials (user_id, kind, data) SELECT $1::bigint, 'passkey', $2::jsonb
    WHERE NOT EXISTS (SELECT FROM credentials WHERE kind = 'passkey' AND data ->> 'id' = $2::jsonb ->> 'id')
    RETURNING id AS "credentialId", version`,
  values: (userId: number, data: PasskeyData) => [userId, data],
  row: Type.Object({ credentialId: Type.String(), version: Type.Integer() })
})

export const renamePasskey = statement({
  name: 'rename_passkey',
  text: `UPDATE credentials SET data = jsonb_set(data, '{name}', to_jsonb($3::text))
    WHERE user_id = $1::bigint AND id = $2::uuid AND kind = 'passkey' RETURNING id`,
  values: (userId: number, id: string, name: string) => [userId, id, name],
  row: Type.Object({ id: Type.String() })
})

export const deletePasskey = statement({
  name: 'delete_passkey',
  text: `DELETE FROM credentials WHERE user_id = $1::bigint AND id = $2::uuid AND kind = 'passkey'
    RETURNING data ->> 'name' AS name`,
  values: (userId: number, id: string) => [userId, id],
  row: Type.Object({ name: Type.String() })
})
