/** Whether a value has properties to look at. Arrays count too. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null

/** The property of any value; undefined where there is none. */
export const property = (value: unknown, name: string): unknown => isRecord(value) ? value[name] : undefined

/** The `code` of a caught error, such as `ENOENT`. */
export function errorCode (error: unknown): string | undefined {
  const code = property(error, 'code')
  return typeof code === 'string' ? code : undefined
}

/**
 * The message of anything that was thrown. An AggregateError, as of a connection to a host with several addresses, has
 * none itself, so it gets those of its parts.
 */
export function errorMessage (error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(errorMessage).join('; ')
  return error instanceof Error ? error.message : String(error)
}
