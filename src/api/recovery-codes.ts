import { Type } from '@sinclair/typebox'

/** Recovery codes, which are shown once. */
export const RecoveryCodes = Type.Array(Type.String({
  pattern: '^[a-z2-7]{5}(-[a-z2-7]{1,5}){5}$',
  maxLength: 31,
  examples: ['k5x2q-7hwmn-c3ftz-ra4vy-2pjue-d']
}), { maxItems: 10 })
