import type { Static, TObject } from '@sinclair/typebox'

/** A named, parameterised statement with its values, for the `query` of a database or a transaction. */
export interface Statement<Row> {
  /** name of the prepared statement, which PostgreSQL parses and plans once per connection */
  name: string
  text: string
  values: unknown[]
  /** never set; carries the type of the result's rows */
  row?: Row
}

interface Definition<Args extends unknown[], Row extends TObject> {
  name: string
  text: string
  /** returns the arguments in the order of $1, $2, … */
  values: (...args: Args) => unknown[]
  /** columns of the result; `Type.Object({})` if there is none */
  row: Row
}

/** The type of a statement's rows. */
export type RowOf<Defined extends (...args: never[]) => Statement<unknown>> = NonNullable<ReturnType<Defined>['row']>

/**
 * Defines a statement as a function of its arguments. The type of its rows comes from `row`, which the architecture
 * test compares with the columns that PostgreSQL reports.
 */
export function statement<Args extends unknown[], Row extends TObject> (definition: Definition<Args, Row>) {
  const { name, text, values } = definition
  const build = (...args: Args): Statement<Static<Row>> => ({ name, text, values: values(...args) })
  return Object.assign(build, { definition })
}
