import { Type } from '@sinclair/typebox'
import { statement } from './statement.ts'

/** Checks that the server answers. It reads no table. */
export const ping = statement({
  name: 'ping',
  text: 'SELECT true AS answers',
  values: () => [],
  row: Type.Object({ answers: Type.Boolean() })
})
