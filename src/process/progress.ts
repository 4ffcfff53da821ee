import type { Writable } from 'node:stream'

/** Milliseconds between two lines. */
const INTERVAL = 1000

/** A number with a comma between thousands. */
export const thousands = (count: number): string => count.toLocaleString('en-US')

/** Writes how far a command is, at most once a second. */
export function createProgress (output: Writable, now: () => number = Date.now): (line: string) => void {
  let next = now() + INTERVAL
  return line => {
    if (now() < next) return
    next = now() + INTERVAL
    output.write(`${line}\n`)
  }
}
