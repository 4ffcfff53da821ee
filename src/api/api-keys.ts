import { Type } from '@sinclair/typebox'
import { type Role, toAuthority } from '../access.ts'
import { givenName, storedName, Time, Uuid } from './fields.ts'
import { Authorities } from './roles.ts'

export const KeyId = Uuid('the id of an API key')

export const KeyName = givenName('nightly export')

/** The text of a key, of which a scanner of leaked secrets knows the form. */
export const KeyText = Type.String({
  pattern: '^gh_[0-9A-Za-z]{60}$',
  maxLength: 63,
  examples: ['gh_01ovp62Gn9yS2LKcb200000107yhS307yhS307yhS307yhS307yhS30o6xiy']
})

/** An API key in a response. Its secret is not stored. */
export const ApiKeyResponse = Type.Object({
  id: KeyId,
  name: storedName('nightly export'),
  roles: Authorities,
  created: Time,
  lastUsed: Type.Union([Time, Type.Null()]),
  expires: Type.Union([Time, Type.Null()])
})

export interface ApiKey {
  id: string
  name: string
  roles: readonly Role[]
  createdAt: Date
  lastUsedAt: Date | null
  expiresAt: Date | null
}

export const toKeyResponse = ({ id, name, roles, createdAt, lastUsedAt, expiresAt }: ApiKey) => ({
  id,
  name,
  roles: roles.map(toAuthority),
  created: createdAt.toISOString(),
  lastUsed: lastUsedAt?.toISOString() ?? null,
  expires: expiresAt?.toISOString() ?? null
})
