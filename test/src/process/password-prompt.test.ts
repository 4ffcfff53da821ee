import { PassThrough, Readable } from 'node:stream'
import { test } from 'tap'
import { promptPassword } from '../../../src/process/password-prompt.ts'

/** A terminal: what is typed, and all that is shown. */
function createTerminal () {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough()
  const shown: string[] = []
  output.on('data', (chunk: Buffer) => { shown.push(String(chunk)) })
  return { input, output, screen: () => shown.join('') }
}

test('a person is asked and does not see the password', async t => {
  const { input, output, screen } = createTerminal()
  const asked = promptPassword(input, output)
  for (const key of 'corrext') input.write(key)
  input.write('\x7f\x7f')
  input.write('ct horse\r')
  t.equal(await asked, 'correct horse', 'backspace works')
  t.equal(screen(), 'Password: \n')
})

test('Ctrl-C and Ctrl-D at the question are an error, not an open question', async t => {
  for (const key of ['\x03', '\x04']) {
    const { input, output, screen } = createTerminal()
    const asked = promptPassword(input, output)
    input.write(key)
    await t.rejects(asked, { message: 'No password was given.' })
    t.equal(screen(), 'Password: \n')
  }
})

test('a pipe\'s password loses one line end and nothing else', async t => {
  const cases = [
    ['secret word', 'secret word'],
    ['secret word\n', 'secret word'],
    ['secret word\r\n', 'secret word'],
    ['secret word\n\n', 'secret word\n'],
    [' secret word ', ' secret word '],
    ['', '']
  ] as const
  for (const [piped, password] of cases) {
    const { output, screen } = createTerminal()
    t.equal(await promptPassword(Readable.from([Buffer.from(piped)]), output), password)
    t.equal(screen(), '', 'nobody is asked')
  }
})
