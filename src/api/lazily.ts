/**
 * Returns a function that creates another one when it is first called, and calls that one from then on. Compiling the
 * schemas of all routes would take an eighth of the start; a route's first request compiles its own in milliseconds.
 */
export function lazily<Input, Output> (create: () => (input: Input) => Output): (input: Input) => Output {
  let created: ((input: Input) => Output) | undefined
  return input => {
    created ??= create()
    return created(input)
  }
}
