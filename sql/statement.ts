import type { Static, TObject } from '@sinclair/typebox'

/** A named, parameterised statement, ready for `db.query` or a transaction's `query`. */
export interface Statement<Row> {
  /** Names a prepared statement: PostgreSQL parses and plans it once per connection. */
  name: string
  text: string
  values: unknown[]
  /** Only a type: what a row of the answer looks like. */
  row?: Row
}

interface Definition<Args extends unknown[], Row extends TObject> {
  name: string
  text: string
  /** Puts the arguments in the order of $1, $2, … */
  values: (...args: Args) => unknown[]
  /** The answer's columns; `Type.Object({})` where nothing is returned. */
  row: Row
}

/**
 * Defines a statement as a function of its arguments. The row's type comes from its schema, and the house test
 * compares that schema with the columns PostgreSQL reports, so a changed table cannot leave a wrong type behind.
 */
export function statement<Args extends unknown[], Row extends TObject> (definition: Definition<Args, Row>) {
  const { name, text, values } = definition
  const build = (...args: Args): Statement<Static<Row>> => ({ name, text, values: values(...args) })
  return Object.assign(build, { definition })
}
