import { type TSchema, Type } from '@sinclair/typebox'
import { type ErrorCode, refusalOf } from './errors.ts'

/** The reply schemas of the given errors, by status. */
export function errorReplies (codes: readonly ErrorCode[]): Record<number, TSchema> {
  const statuses = new Set(codes.map(code => refusalOf(code).status))
  return Object.fromEntries([...statuses].map(status =>
    [status, errorReply(codes.filter(code => refusalOf(code).status === status))]))
}

function errorReply (codes: readonly ErrorCode[]): TSchema {
  const extra = codes.flatMap(code => Object.keys(refusalOf(code).body ?? {}))
  return Type.Object({
    ...Object.fromEntries(extra.map(field => [field, Type.Optional(Type.Null())])),
    message: Type.String({ maxLength: 512 }),
    code: Type.String({ enum: [...codes] })
  }, { description: codes.map(code => `${code}: ${refusalOf(code).message}`).join('\n\n') })
}
