import { Type } from '@sinclair/typebox'
import { type Role, toAuthority } from '../access.ts'
import { Time } from './fields.ts'
import { Authorities } from './roles.ts'

export const KeyId = Type.String({
  pattern: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  maxLength: 36,
  description: 'the id of an API key',
  examples: ['019ab0c4-7c00-7000-8000-000000000001']
})

/**
 * What a person calls a key. Without control characters, because lists of keys are shown on terminals, and without lone
 * surrogates. Not as \p{…}, which the linter of the API description does not know.
 */
export const KeyName = Type.String({
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]{1,64}$',
  maxLength: 64,
  description: '1 to 64 characters',
  examples: ['nightly export']
})

/** The text of a key, of which a scanner of leaked secrets knows the form. */
export const KeyText = Type.String({
  pattern: '^gh_[0-9A-Za-z]{60}$',
  maxLength: 63,
  examples: ['gh_01ovp62Gn9yS2LKcb200000107yhS307yhS307yhS307yhS307yhS30o6xiy']
})

/** An API key in a response. Its secret is not stored. */
export const ApiKeyResponse = Type.Object({
  id: KeyId,
  name: KeyName,
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
