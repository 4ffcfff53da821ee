import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

/** A credential, and the version of it that was verified. */
export interface CredentialVersion {
  userId: number
  credentialId: string
  version: number
}

/** The password of a user. */
export interface Password extends CredentialVersion {
  hash: string
}

/** The SQL of how long a network stays known after a user's last sign-in from it. */
export const NETWORK_KEPT = 'interval \'30 days\''

/** The SQL of whether a user has signed in from a network before, as "isKnown". @param network its SQL */
export const isKnown = (network: string) => `EXISTS (SELECT FROM known_networks WHERE known_networks.user_id = users.id
        AND network = ${network} AND last_seen_at > now() - ${NETWORK_KEPT}) AS "isKnown"`

const PASSWORD = 'credentials.id AS "credentialId", version, data ->> \'hash\' AS hash'

/** The SQL of whether a user has a second factor, as "hasSecondFactor". @param user the SQL of the user's id */
export const hasSecondFactor = (user: string) => `EXISTS (SELECT FROM credentials AS factors
        WHERE factors.user_id = ${user} AND factors.kind IN ('totp', 'passkey')) AS "hasSecondFactor"`

const USERS = 'users LEFT JOIN credentials ON user_id = users.id AND kind = \'password\''

const UserWithPassword = Type.Object({
  id: Type.Integer(),
  username: Type.String(),
  email: Type.String(),
  credentialId: Type.Union([Type.String(), Type.Null()]),
  version: Type.Union([Type.Integer(), Type.Null()]),
  hash: Type.Union([Type.String(), Type.Null()])
})

/** The password in a row of one of the next two statements; undefined if the user has none. */
export function passwordOf (
  row: { id: number, credentialId: string | null, version: number | null, hash: string | null }
): Password | undefined {
  const { id: userId, credentialId, version, hash } = row
  if (credentialId === null || version === null || hash === null) return undefined
  return { userId, credentialId, version, hash }
}

/** The user who signs in, by username in any case, and whether the user has signed in from this network before. */
export const credentialsByUsername = statement({
  name: 'credentials_by_username',
  text: `SELECT users.id, username, email, ${PASSWORD}, disabled_at IS NOT NULL AS disabled,
      email_verified_at IS NOT NULL AS "emailVerified", ${hasSecondFactor('users.id')},
      ${isKnown('$2::text')}
    FROM ${USERS} WHERE lower(username COLLATE "C") = lower($1::text COLLATE "C")`,
  values: (username: string, network: string) => [username, network],
  row: Type.Object({
    ...UserWithPassword.properties,
    disabled: Type.Boolean(),
    emailVerified: Type.Boolean(),
    hasSecondFactor: Type.Boolean(),
    isKnown: Type.Boolean()
  })
})

/** A user who must enter the password again, or present a second factor. */
export const credentialsById = statement({
  name: 'credentials_by_id',
  text: `SELECT users.id, username, email, ${PASSWORD}, ${hasSecondFactor('users.id')} FROM ${USERS}
    WHERE users.id = $1::bigint`,
  values: (id: number) => [id],
  row: Type.Object({ ...UserWithPassword.properties, hasSecondFactor: Type.Boolean() })
})

const SAME_VERSION = 'user_id = $1::bigint AND id = $2::uuid AND version = $3::int'

/**
 * Changes a password, and returns its new version, which the trigger `count_password_change` sets. Returns no row if
 * the password was changed since it was verified.
 */
export const changePassword = statement({
  name: 'change_password',
  text: `UPDATE credentials SET data = jsonb_build_object('hash', $4::text) WHERE ${SAME_VERSION} RETURNING version`,
  values: ({ userId, credentialId, version }: CredentialVersion, hash: string) => [userId, credentialId, version, hash],
  row: Type.Object({ version: Type.Integer() })
})

/** Replaces the hash of a password. Its version stays the same. Does nothing if the password was changed. */
export const rehashPassword = statement({
  name: 'rehash_password',
  text: `UPDATE credentials SET data = jsonb_build_object('hash', $4::text)
    FROM (SELECT set_config('gatehouse.rehash', 'on', true)) AS announced WHERE ${SAME_VERSION}`,
  values: ({ userId, credentialId, version }: CredentialVersion, hash: string) => [userId, credentialId, version, hash],
  row: Type.Object({})
})

/** Gives a user a password, in place of the current one if there is one. */
export const setPassword = statement({
  name: 'set_password',
  text: `INSERT INTO credentials (user_id, kind, data)
    VALUES ($1::bigint, 'password', jsonb_build_object('hash', $2::text))
    ON CONFLICT (user_id) WHERE kind = 'password' DO UPDATE SET data = excluded.data`,
  values: (userId: number, hash: string) => [userId, hash],
  row: Type.Object({})
})

/** Locks a credential until the end of the transaction. Returns no row if it was changed since it was verified. */
export const lockCredential = statement({
  name: 'lock_credential',
  text: `SELECT id FROM credentials WHERE ${SAME_VERSION} FOR SHARE`,
  values: ({ userId, credentialId, version }: CredentialVersion) => [userId, credentialId, version],
  row: Type.Object({ id: Type.String() })
})

/** Deletes the password of a user. */
export const deletePassword = statement({
  name: 'delete_password',
  text: 'DELETE FROM credentials WHERE user_id = $1::bigint AND kind = \'password\'',
  values: (userId: number) => [userId],
  row: Type.Object({})
})

/** Deletes every credential of a user. */
export const deleteCredentials = statement({
  name: 'delete_credentials',
  text: 'DELETE FROM credentials WHERE user_id = $1::bigint',
  values: (userId: number) => [userId],
  row: Type.Object({})
})
