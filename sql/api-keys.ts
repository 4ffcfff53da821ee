import { Type } from '@sinclair/typebox'
import { type Role, roleId } from '../src/access.ts'
import { hasSecondFactor } from './credentials.ts'
import { statement } from './statement.ts'
import { roleName, Roles } from './users.ts'

const ALIVE = '(expires_at IS NULL OR expires_at > now())'

/** The SQL of the names of the roles that a key was given. */
const GIVEN = `ARRAY(SELECT ${roleName} FROM unnest(role_ids) AS role_id ORDER BY role_id)`

const KEY = `id, name, ${GIVEN} AS roles, created_at AS "createdAt", last_used_at AS "lastUsedAt", expires_at AS "expiresAt"`

const ApiKeyRow = Type.Object({
  id: Type.String(),
  name: Type.String(),
  roles: Roles,
  createdAt: Type.Date(),
  lastUsedAt: Type.Union([Type.Date(), Type.Null()]),
  expiresAt: Type.Union([Type.Date(), Type.Null()])
})

/**
 * The owner and the current roles of a key: of those that it was given, the ones that its owner has. Returns no row if
 * the key does not exist or has expired, or its owner is disabled.
 */
export const liveKey = statement({
  name: 'live_key',
  text: `SELECT users.id AS "userId", username, secret_hash AS "secretHash", expires_at AS "expiresAt",
      last_used_at AS "lastUsedAt", ${hasSecondFactor('users.id')}, ARRAY(
        SELECT ${roleName} FROM user_roles WHERE user_roles.user_id = users.id AND role_id = ANY (role_ids)
        ORDER BY role_id) AS roles
    FROM api_keys JOIN users ON users.id = api_keys.user_id
    WHERE api_keys.id = $1::uuid AND ${ALIVE} AND disabled_at IS NULL`,
  values: (keyId: string) => [keyId],
  row: Type.Object({
    userId: Type.Integer(),
    username: Type.String(),
    secretHash: Type.String(),
    expiresAt: Type.Union([Type.Date(), Type.Null()]),
    lastUsedAt: Type.Union([Type.Date(), Type.Null()]),
    hasSecondFactor: Type.Boolean(),
    roles: Roles
  })
})

interface NewKey {
  userId: number
  keyId: string
  name: string
  secretHash: string
  roles: readonly Role[]
  expiresAt: Date | null
  /** maximum number of keys of the user */
  maxKeys: number
}

/**
 * Creates a key, in a transaction that has locked the user. Returns no row if the user has the maximum number of them.
 */
export const insertKey = statement({
  name: 'insert_key',
  text: `INSERT INTO api_keys (user_id, id, name, secret_hash, role_ids, expires_at)
    SELECT $1::bigint, $2::uuid, $3::text, $4::text, $5::smallint[], $6::timestamptz
    WHERE (SELECT count(*) FROM api_keys WHERE user_id = $1::bigint AND ${ALIVE}) < $7::int
    RETURNING ${KEY}`,
  values: ({ userId, keyId, name, secretHash, roles, expiresAt, maxKeys }: NewKey) =>
    [userId, keyId, name, secretHash, roles.map(roleId), expiresAt, maxKeys],
  row: ApiKeyRow
})

/** A user's keys that have not expired, newest first: their ids begin with the time. */
export const keysOf = statement({
  name: 'keys_of',
  text: `SELECT ${KEY} FROM api_keys WHERE user_id = $1::bigint AND ${ALIVE} ORDER BY id DESC`,
  values: (userId: number) => [userId],
  row: ApiKeyRow
})

export const deleteKey = statement({
  name: 'delete_key',
  text: 'DELETE FROM api_keys WHERE user_id = $1::bigint AND id = $2::uuid RETURNING id',
  values: (userId: number, keyId: string) => [userId, keyId],
  row: Type.Object({ id: Type.String() })
})

/** Deletes every key of a user. */
export const deleteKeys = statement({
  name: 'delete_keys',
  text: 'DELETE FROM api_keys WHERE user_id = $1::bigint',
  values: (userId: number) => [userId],
  row: Type.Object({})
})

/**
 * Records that keys were used. Of a key's uses within ten minutes, on all replicas, one is recorded. No indexed column
 * changes, so the update is HOT, and no trigger reads this column.
 */
export const recordKeyUses = statement({
  name: 'record_key_uses',
  text: `UPDATE api_keys SET last_used_at = now()
    FROM unnest($1::bigint[], $2::uuid[]) AS used (user_id, id)
    WHERE api_keys.user_id = used.user_id AND api_keys.id = used.id
      AND coalesce(last_used_at < now() - interval '10 minutes', true)`,
  values: (uses: ReadonlyArray<{ userId: number, keyId: string }>) =>
    [uses.map(({ userId }) => userId), uses.map(({ keyId }) => keyId)],
  row: Type.Object({})
})
