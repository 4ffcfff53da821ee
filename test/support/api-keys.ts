import { insertKey } from '../../sql/api-keys.ts'
import { type Role, roles } from '../../src/access.ts'
import { encodeKey, hashSecret, newSecret } from '../../src/tokens/api-key.ts'
import { newId } from '../../src/tokens/ids.ts'
import type { TestApp } from './app.ts'

export interface NewKey {
  id: string
  key: string
}

/** An API key of a user, without a session of that user. */
export async function addKey ({ app }: TestApp, userId: number, given: readonly Role[] = roles): Promise<NewKey> {
  const [keyId, secret] = [newId(), newSecret()]
  await app.db.query(insertKey({
    userId,
    keyId,
    name: 'a key',
    secretHash: hashSecret(secret).toString('base64url'),
    roles: given,
    expiresAt: null,
    maxKeys: 10_000
  }))
  return { id: keyId, key: encodeKey({ keyId, secret }) }
}
