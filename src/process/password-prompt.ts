import { on } from 'node:events'
import { createInterface } from 'node:readline'
import { type Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

/**
 * Reads a new password. At a terminal it is not echoed, and is asked for twice. From a pipe, a final line break is
 * ignored. A password is never an argument, which other users of the machine could read.
 * @throws Error if the input ends before the password, or the two differ
 */
export async function promptPassword (
  input: Readable & { isTTY?: boolean },
  output: NodeJS.WritableStream
): Promise<string> {
  if (!input.isTTY) return (await text(input)).replace(/\r?\n$/, '')
  const silent = new Writable({ write: (_chunk, _encoding, done) => { done() } })
  // Switches the terminal to raw mode, which ends the echo, so it comes before the first prompt.
  const terminal = createInterface({ input, output: silent, terminal: true })
  // An iterator, so that two lines that are pasted at once are both read. Ctrl-C and Ctrl-D close the terminal.
  const lines = on(terminal, 'line', { close: ['close'] })
  const ask = async (prompt: string): Promise<string> => {
    output.write(prompt)
    const next: IteratorResult<unknown[], unknown> = await lines.next()
    output.write('\n')
    if (next.done) throw new Error('No password was entered.')
    return String(next.value[0])
  }
  try {
    const password = await ask('Password: ')
    if (await ask('Password again: ') !== password) throw new Error('The two passwords differ.')
    return password
  } finally {
    terminal.close()
  }
}
