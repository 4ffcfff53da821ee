import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { isStrongKey } from '../../../src/config/key-strength.ts'
import { runKeys } from '../../../src/process/keys-command.ts'
import { readKeys } from '../../../src/tokens/key-file.ts'
import { createFolder } from '../../support/folder.ts'
import { secretsOf } from '../../support/keys.ts'

const run = (...args: string[]) => runKeys(args, command => `npx gatehouse ${command}`)
const kidsOf = (file: string) => readKeys(file).map(({ kid }) => kid)

test('the command maintains the file, and prints its keys without their private parts', async t => {
  const file = join(await createFolder(t), 'keys.json')
  const outputs = [run('new', '--file', file)]
  const [first = ''] = kidsOf(file)
  t.equal(outputs[0], `signs     EdDSA  ${first}`)

  outputs.push(run('new', '--file', file, '--alg', 'RS256'))
  const [, second = ''] = kidsOf(file)
  t.equal(outputs[1], `signs     EdDSA  ${first}\nverifies  RS256  ${second}`)

  outputs.push(run('promote', second, '--file', file))
  t.equal(outputs[2], `signs     RS256  ${second}\nverifies  EdDSA  ${first}`)
  t.equal(run('list', '--file', file), outputs[2])
  const secrets = readKeys(file).flatMap(({ privateKey }) => secretsOf(privateKey))

  outputs.push(run('remove', '--file', file, first))
  t.equal(outputs[3], `signs     RS256  ${second}`)
  t.strictSame(secrets.filter(secret => outputs.join().includes(secret)), [])
})

test('a new encryption key is printed as the setting, and is another one each time', async t => {
  const [first = '', second = ''] = [run('new', '--encryption'), run('new', '--encryption')]
  t.not(first, second)
  for (const line of [first, second]) t.ok(isStrongKey(/^ENCRYPTION_KEYS=(\S+)$/.exec(line)?.[1] ?? ''))
})

const usage = /^Usage:\n {2}npx gatehouse keys new --file FILE \[--alg EdDSA\|ES256\|RS256\] /

test('--help prints the usage, as the command was typed', async t => {
  t.match(run('--help'), usage)
  t.equal(run('-h'), run('--help'))
})

test('wrong arguments are rejected with the usage', async t => {
  const folder = await createFolder(t)
  const file = join(folder, 'keys.json')
  const cases = [
    [], ['new'], ['--file', file], ['new', 'x', '--file', file], ['new', '--file', ''],
    ['new', '--file', file, '--alg', 'HS256'], ['promote', '--file', file], ['promote', 'a', 'b', '--file', file],
    ['remove', '--file', file], ['list', 'x', '--file', file], ['sign', '--file', file], ['--encryption'],
    ['list', '--encryption'], ['new', 'x', '--encryption'], ['new', '--encryption', '--file', file],
    ['new', '--encryption', '--alg', 'EdDSA']
  ]
  for (const args of cases) t.throws(() => run(...args), { message: usage }, args.join(' '))
  t.throws(() => run('new', '--file', file, '--bits', '512'), { message: /'--bits'/ })
  t.strictSame(await readdir(folder), [])
})
