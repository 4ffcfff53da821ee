import { createInterface } from 'node:readline/promises'
import { type Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'

/**
 * A password from a person, who does not see it typed, or from a pipe, without the line's end that echo adds. Never
 * from an argument, which other users of the machine can read.
 */
export async function askPassword (
  input: Readable & { isTTY?: boolean },
  output: NodeJS.WritableStream
): Promise<string> {
  if (!input.isTTY) return (await text(input)).replace(/\r?\n$/, '')
  output.write('Password: ')
  const silent = new Writable({ write: (_chunk, _encoding, done) => { done() } })
  const terminal = createInterface({ input, output: silent, terminal: true })
  try {
    return await new Promise((resolve, reject) => {
      // Ctrl-C or Ctrl-D closes it, and its question would stay open for ever.
      terminal.once('close', () => { reject(new Error('No password was given.')) })
      terminal.question('').then(resolve, reject)
    })
  } finally {
    terminal.close()
    output.write('\n')
  }
}
