import { KindGuard, type TObject, type TSchema } from '@sinclair/typebox'
import type pg from 'pg'

/** The columns of a statement's result, by name, with their types as PostgreSQL spells them (`bigint`, `text[]`). */
export type Columns = Record<string, string>

/**
 * Has PostgreSQL describe the result of a statement. The statement is parsed but not run, so it needs no values.
 * @throws pg.DatabaseError if the statement does not match the tables
 */
export async function describeColumns (client: pg.Client, text: string): Promise<Columns> {
  const fields = await new Promise<Array<{ name: string, dataTypeID: number }>>((resolve, reject) => {
    let described: Array<{ name: string, dataTypeID: number }> = []
    client.query({
      submit (connection: pg.Connection) {
        connection.parse({ text, name: '', types: [] }, true)
        connection.describe({ type: 'S', name: '' }, true)
        connection.sync()
      },
      handleRowDescription (message: { fields: typeof described }) { described = message.fields },
      handleError: reject,
      handleReadyForQuery () { resolve(described) }
    })
  })
  const { rows } = await client.query<{ type: string }>(
    'SELECT format_type(oid, NULL) AS type FROM unnest($1::oid[]) WITH ORDINALITY AS described (oid, place) ORDER BY place',
    [fields.map(field => field.dataTypeID)])
  return Object.fromEntries(fields.map((field, index) => [field.name, rows[index]?.type ?? 'unknown']))
}

// The types that pg converts to the JavaScript type of the schema. It converts numeric to text, and date to a local
// midnight.
const FITS: Record<string, RegExp> = {
  Integer: /^(smallint|integer|bigint)$/,
  String: /^(text|uuid|character varying)$/,
  Date: /^timestamp with time zone$/,
  Boolean: /^boolean$/
}

function fits (schema: TSchema, type: string): boolean {
  if (KindGuard.IsUnion(schema)) {
    return schema.anyOf.filter(option => !KindGuard.IsNull(option)).every(option => fits(option, type))
  }
  if (KindGuard.IsArray(schema)) return type.endsWith('[]') && fits(schema.items, type.slice(0, -2))
  if (KindGuard.IsLiteral(schema)) return typeof schema.const === 'string' && FITS['String']?.test(type) === true
  if (KindGuard.IsRecord(schema)) return type === 'jsonb'
  return Object.entries(FITS).some(([kind, pattern]) => KindGuard.IsKindOf(schema, kind) && pattern.test(type))
}

/** The differences between a row's schema and the columns. */
export function columnFaults (row: TObject, columns: Columns): string[] {
  const missing = Object.keys(row.properties).filter(name => !(name in columns)).map(name => `${name} is no column of the result`)
  const wrong = Object.entries(columns).flatMap(([name, type]) => {
    const schema: TSchema | undefined = Object.entries<TSchema>(row.properties).find(([key]) => key === name)?.[1]
    if (!schema) return [`${name} is not in the row's schema`]
    return fits(schema, type) ? [] : [`${name} is ${type}`]
  })
  return [...missing, ...wrong]
}
