import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

// TOTP secrets and recovery codes. Both are used by one conditional UPDATE: of concurrent requests with one code, one
// gets the row.

/** The encrypted TOTP secret of a user, base64. */
export const totpOf = statement({
  name: 'totp_of',
  text: `SELECT id AS "credentialId", data ->> 'secret' AS secret FROM credentials
    WHERE user_id = $1::bigint AND kind = 'totp'`,
  values: (userId: number) => [userId],
  row: Type.Object({ credentialId: Type.String(), secret: Type.String() })
})

const VERSION = 'id AS "credentialId", version'

const Version = Type.Object({ credentialId: Type.String(), version: Type.Integer() })

/**
 * Accepts the code of a time step, unless one of this or a later step was accepted (RFC 6238 §5.2).
 * @param secret encrypted, perhaps with a newer key than before
 */
export const acceptTotpStep = statement({
  name: 'accept_totp_step',
  text: `UPDATE credentials SET data = jsonb_build_object('secret', $3::text, 'lastStep', $4::bigint)
    WHERE user_id = $1::bigint AND id = $2::uuid AND kind = 'totp' AND (data ->> 'lastStep')::bigint < $4::bigint
    RETURNING ${VERSION}`,
  values: (userId: number, credentialId: string, secret: string, step: number) => [userId, credentialId, secret, step],
  row: Version
})

/** Uses a recovery code. Returns how many are left. */
export const useRecoveryCode = statement({
  name: 'use_recovery_code',
  text: `UPDATE credentials SET data = jsonb_build_object('hashes', (data -> 'hashes') - $2::text)
    WHERE user_id = $1::bigint AND kind = 'recovery_codes' AND data -> 'hashes' ? $2::text
    RETURNING ${VERSION}, jsonb_array_length(data -> 'hashes') AS left`,
  values: (userId: number, hash: string) => [userId, hash],
  row: Type.Object({ ...Version.properties, left: Type.Integer() })
})

/** Gives a user a TOTP secret, whose code of a step was accepted. `deleteTotp` runs before. */
export const insertTotp = statement({
  name: 'insert_totp',
  text: `INSERT INTO credentials (user_id, kind, data)
    VALUES ($1::bigint, 'totp', jsonb_build_object('secret', $2::text, 'lastStep', $3::bigint)) RETURNING ${VERSION}`,
  values: (userId: number, secret: string, step: number) => [userId, secret, step],
  row: Version
})

export const deleteTotp = statement({
  name: 'delete_totp',
  text: 'DELETE FROM credentials WHERE user_id = $1::bigint AND kind = \'totp\' RETURNING id',
  values: (userId: number) => [userId],
  row: Type.Object({ id: Type.String() })
})

/** Gives a user recovery codes in place of the current ones. A new row, whose time tells when it was made. */
export const replaceRecoveryCodes = statement({
  name: 'replace_recovery_codes',
  text: `INSERT INTO credentials (user_id, kind, data)
    VALUES ($1::bigint, 'recovery_codes', jsonb_build_object('hashes', to_jsonb($2::text[])))
    ON CONFLICT (user_id) WHERE kind = 'recovery_codes' DO UPDATE SET data = excluded.data, created_at = now()`,
  values: (userId: number, hashes: readonly string[]) => [userId, hashes],
  row: Type.Object({})
})

/** The second factors of a user. */
export const factorsOf = statement({
  name: 'factors_of',
  text: `SELECT count(*) FILTER (WHERE kind = 'totp') > 0 AS totp, count(*) FILTER (WHERE kind = 'passkey')::int AS passkeys,
      coalesce(max(jsonb_array_length(data -> 'hashes')) FILTER (WHERE kind = 'recovery_codes'), 0) AS "recoveryCodes"
    FROM credentials WHERE user_id = $1::bigint`,
  values: (userId: number) => [userId],
  row: Type.Object({ totp: Type.Boolean(), passkeys: Type.Integer(), recoveryCodes: Type.Integer() })
})

/** Deletes the recovery codes of a user who has no second factor left. */
export const deleteLoneRecoveryCodes = statement({
  name: 'delete_lone_recovery_codes',
  text: `DELETE FROM credentials WHERE user_id = $1::bigint AND kind = 'recovery_codes' AND NOT EXISTS (
    SELECT FROM credentials AS factors WHERE factors.user_id = $1::bigint AND factors.kind IN ('totp', 'passkey'))`,
  values: (userId: number) => [userId],
  row: Type.Object({})
})

/** Deletes the second factors of a user, and the recovery codes: all, or those that were added since a time. */
export const deleteSecondFactors = statement({
  name: 'delete_second_factors',
  text: `DELETE FROM credentials WHERE user_id = $1::bigint AND kind IN ('totp', 'passkey', 'recovery_codes')
    AND created_at >= coalesce($2::timestamptz, created_at)`,
  values: (userId: number, since?: Date) => [userId, since ?? null],
  row: Type.Object({})
})

/** Locks a user who is enabled until the end of the transaction. */
export const lockEnabledUser = statement({
  name: 'lock_enabled_user',
  text: 'SELECT id FROM users WHERE id = $1::bigint AND disabled_at IS NULL FOR NO KEY UPDATE',
  values: (userId: number) => [userId],
  row: Type.Object({ id: Type.Integer() })
})
