import { type TSchema, Type } from '@sinclair/typebox'
import { type ErrorCode, errorDefinition, exampleMessage } from '../errors.ts'

/** The response schemas of the given errors, by status. */
export function errorResponses (codes: readonly ErrorCode[]): Record<number, TSchema> {
  const statuses = new Set(codes.map(code => errorDefinition(code).status))
  return Object.fromEntries([...statuses].map(status =>
    [status, errorResponse(codes.filter(code => errorDefinition(code).status === status))]))
}

function errorResponse (codes: readonly ErrorCode[]): TSchema {
  const extra = codes.flatMap(code => Object.keys(errorDefinition(code).body ?? {}))
  return Type.Object({
    ...Object.fromEntries(extra.map(field => [field, Type.Optional(Type.Null())])),
    message: Type.String({ maxLength: 512 }),
    code: Type.String({ enum: [...codes] })
  }, { description: codes.map(code => `${code}: ${exampleMessage(code)}`).join('\n\n') })
}
