import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

/** Answered by a server that takes statements; it reads no table. */
export const ping = statement({
  name: 'ping',
  text: 'SELECT true AS answers',
  values: () => [],
  row: Type.Object({ answers: Type.Boolean() })
})
