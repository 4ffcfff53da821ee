import { PassThrough, Readable } from 'node:stream'
import { test } from 'tap'
import { promptPassword } from '../../../src/process/password-prompt.ts'
import { until } from '../../support/wait.ts'

/** A terminal: what a person types, and what the screen shows. */
function createTerminal () {
  const input = Object.assign(new PassThrough(), { isTTY: true })
  const output = new PassThrough()
  const chunks: string[] = []
  output.on('data', (chunk: Buffer) => { chunks.push(String(chunk)) })
  const screen = () => chunks.join('')
  return {
    input,
    output,
    screen,
    /** Types keys once the screen ends with a prompt, as a person does. */
    async type (prompt: string, keys: string) {
      await until(prompt, () => screen().endsWith(prompt))
      input.write(keys)
    }
  }
}

test('the password is asked for twice and never shown', async t => {
  const { input, output, screen, type } = createTerminal()
  const entered = promptPassword(input, output)
  await type('Password: ', 'corrext\x7f\x7fct horse\r')
  await type('Password again: ', 'correct horse\r')
  t.equal(await entered, 'correct horse', 'the backspace key works')
  t.equal(screen(), 'Password: \nPassword again: \n')
})

test('two passwords that differ are rejected', async t => {
  const { input, output, type } = createTerminal()
  const entered = t.rejects(promptPassword(input, output), { message: 'The two passwords differ.' })
  await type('Password: ', 'correct horse\r')
  await type('Password again: ', 'correct house\r')
  await entered
})

test('both lines may arrive at once, as when they are pasted', async t => {
  const { input, output, screen } = createTerminal()
  input.write('correct horse\rcorrect horse\r')
  t.equal(await promptPassword(input, output), 'correct horse')
  t.notMatch(screen(), 'horse')
})

test('Ctrl-C and Ctrl-D at either prompt are an error', async t => {
  for (const key of ['\x03', '\x04']) {
    const first = createTerminal()
    const entered = t.rejects(promptPassword(first.input, first.output), { message: 'No password was entered.' })
    await first.type('Password: ', key)
    await entered
    t.equal(first.screen(), 'Password: \n')

    const second = createTerminal()
    const repeated = t.rejects(promptPassword(second.input, second.output), { message: 'No password was entered.' })
    await second.type('Password: ', 'correct horse\r')
    await second.type('Password again: ', key)
    await repeated
    t.equal(second.screen(), 'Password: \nPassword again: \n')
  }
})

test('a password from a pipe loses its final line break and nothing else', async t => {
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
    t.equal(screen(), '', 'no prompt')
  }
})
