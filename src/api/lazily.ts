/** Returns a function that creates another one when it is first called, and calls that one from then on. */
export function lazily<Input, Output> (create: () => (input: Input) => Output): (input: Input) => Output {
  let created: ((input: Input) => Output) | undefined
  return input => {
    created ??= create()
    return created(input)
  }
}
