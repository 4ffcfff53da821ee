import { type TSchema, Type } from '@sinclair/typebox'
import { Challenge, FactorMethods } from './fields.ts'
import { type ErrorCode, errorDefinition, exampleMessage, responseCode } from '../errors.ts'

/** Schemas of the fields that an ApiError gives. Not in the catalogue, which gatehouse/verify uses without TypeBox. */
export const errorFields = { challenge: Challenge, methods: FactorMethods }

/** The response schemas of the given errors, by status. */
export function errorResponses (codes: readonly ErrorCode[]): Record<number, TSchema> {
  const statuses = new Set(codes.map(code => errorDefinition(code).status))
  return Object.fromEntries([...statuses].map(status =>
    [status, errorResponse(codes.filter(code => errorDefinition(code).status === status))]))
}

function errorResponse (codes: readonly ErrorCode[]): TSchema {
  const nulls = codes.flatMap(code => Object.keys(errorDefinition(code).body ?? {}))
  const fields = codes.flatMap(code => errorDefinition(code).fields ?? [])
  return Type.Object({
    ...Object.fromEntries(nulls.map(field => [field, Type.Optional(Type.Null())])),
    message: Type.String({ maxLength: 512 }),
    code: Type.String({ enum: [...new Set(codes.map(responseCode))] }),
    ...Object.fromEntries(fields.map(field => [field, Type.Optional(errorFields[field])]))
  }, { description: codes.map(code => `${responseCode(code)}: ${exampleMessage(code)}`).join('\n\n') })
}
