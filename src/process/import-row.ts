import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { ImportedUser } from '../../sql/import.ts'
import { isRole } from '../access.ts'
import { Email, Username } from '../api/fields.ts'
import { readHash } from '../passwords/read-hash.ts'
import { property } from '../unknown.ts'
import type { SourceRow } from './import-source.ts'

const flag = Type.Optional(Type.Boolean({ description: 'true or false' }))

const Row = Type.Object({
  // Sign-ups get higher ids than imported users, so half of what a number represents exactly is left to them.
  id: Type.Integer({ minimum: 1, maximum: 2 ** 52, description: 'a whole number from 1 to 2^52' }),
  username: Username,
  email: Email,
  emailVerified: flag,
  password: Type.Union([Type.String(), Type.Null()], { description: 'a hash or null' }),
  roles: Type.Array(Type.String(), { description: 'a list of roles' }),
  created: Type.Optional(Type.String({
    pattern: '^[1-9]\\d{3}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,6})?Z$',
    description: 'a time such as 2026-01-31T12:00:00Z'
  })),
  disabled: flag
}, { additionalProperties: false })

const descriptions = new Map(Object.entries(Row.properties).map(([name, { description }]) => [name, description]))

/** What is wrong with the form of a row, each field once. */
function formFaults (value: unknown): string[] {
  const fields = new Set(Array.from(Value.Errors(Row, value), ({ path }) => path.split('/')[1]))
  return Array.from(fields, field => {
    if (field === undefined) return 'it must be an object'
    const description = descriptions.get(field)
    return description === undefined ? `unknown field ${JSON.stringify(field)}` : `${field} must be ${description}`
  })
}

/** A day that the month does not have would become one of the next month. */
const exists = (time: string): boolean => {
  const date = new Date(time)
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(time.slice(0, 19))
}

/** What is wrong with the values of a row that has the right form. */
function valueFaults ({ password, roles, created }: Static<typeof Row>): string[] {
  const hash = password === null ? undefined : readHash(password)
  return [
    ...roles.filter(role => !isRole(role)).map(role => `unknown role ${JSON.stringify(role)}`),
    ...created !== undefined && !exists(created) ? [`created is a time that does not exist: ${created}`] : [],
    ...password !== null && hash === undefined ? ['the password hash has an unknown format'] : [],
    ...hash?.isRunnable === false ? ['the password hash is too costly to be verified'] : []
  ]
}

export interface CheckedRow {
  place: string
  /** undefined if the row does not have the right form */
  user: ImportedUser | undefined
  /** none if the user can be imported */
  faults: string[]
}

/** Validates a row of the source, by itself. */
export function checkRow ({ place: line, value, fault }: SourceRow): CheckedRow {
  if (fault !== undefined) return { place: line, user: undefined, faults: [fault] }
  const given = property(value, 'id')
  const place = given === undefined ? line : `${line}, user ${JSON.stringify(given)}`
  if (!Value.Check(Row, value)) return { place, user: undefined, faults: formFaults(value) }
  const { id, username, email, emailVerified = false, password, created, disabled = false } = value
  const roles = [...new Set(value.roles.filter(isRole))]
  const user = { id, username, email, emailVerified, password, roles, created, disabled }
  return { place, user, faults: valueFaults(value) }
}
