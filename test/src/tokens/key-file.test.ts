import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { addKey, promoteKey, readKeys, removeKey } from '../../../src/tokens/key-file.ts'
import { runKeys } from '../../../src/process/keys-command.ts'
import { algorithms } from '../../../src/tokens/signing-keys.ts'
import { createFolder } from '../../support/folder.ts'
import { keyFile, jwks, privateKeys, secretsOf, toJwk, toPem } from '../../support/keys.ts'

const kids = (file: string) => readKeys(file).map(({ kid }) => kid)
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

test('a new file has one key, a mode for its owner only, and nothing beside it', async t => {
  for (const alg of algorithms) {
    const folder = await createFolder(t)
    const file = join(folder, 'keys.json')
    const [made, ...others] = addKey(file, alg)
    t.match(made, { alg })
    t.strictSame(others, [])
    t.strictSame(kids(file), [made?.kid])
    t.equal(mode(file), '600')
    t.strictSame(await readdir(folder), ['keys.json'])
    const { keys: [written] } = JSON.parse(readFileSync(file, 'utf8'))
    t.match(written, { ...made?.publicJwk, d: String })
  }
})

test('a key is added at the end, promoted to the front, and removed', async t => {
  const file = join(await createFolder(t), 'keys.json')
  const [first] = addKey(file, 'EdDSA').map(({ kid }) => kid)
  const [, second = ''] = addKey(file, 'ES256').map(({ kid }) => kid)
  const [, , third = ''] = addKey(file, 'EdDSA').map(({ kid }) => kid)
  t.strictSame(kids(file), [first, second, third])
  t.strictSame(promoteKey(file, third).map(({ kid }) => kid), [third, first, second])
  t.strictSame(kids(file), [third, first, second])
  t.strictSame(promoteKey(file, third).map(({ kid }) => kid), [third, first, second], 'again is no change')
  t.strictSame(removeKey(file, second).map(({ kid }) => kid), [third, first])
  t.strictSame(kids(file), [third, first])

  const before = readFileSync(file, 'utf8')
  t.throws(() => removeKey(file, third), { message: `The key ${third} signs: promote another one first.` })
  t.throws(() => removeKey(file, second), { message: `There is no key ${second}: the file has ${third}, ${first}.` })
  t.throws(() => promoteKey(file, 'x'), { message: `There is no key x: the file has ${third}, ${first}.` })
  t.equal(readFileSync(file, 'utf8'), before)
})

test('a file of PEM becomes a JWK Set; its keys keep their names, and the file its mode', async t => {
  const { file } = await keyFile(t, toPem(privateKeys.RS256()) + toPem(privateKeys.EdDSA()))
  chmodSync(file, 0o640)
  const before = readKeys(file).map(({ kid, publicJwk }) => ({ kid, publicJwk }))
  addKey(file, 'ES256')
  t.strictSame(readKeys(file).slice(0, 2).map(({ kid, publicJwk }) => ({ kid, publicJwk })), before)
  t.equal(JSON.parse(readFileSync(file, 'utf8')).keys.length, 3)
  t.equal(mode(file), '640')
})

test('what an attempt that was cut short has left is no obstacle', async t => {
  const folder = await createFolder(t)
  const file = join(folder, 'keys.json')
  writeFileSync(`${file}.making`, 'half a f', { mode: 0o666 })
  addKey(file, 'EdDSA')
  t.equal(mode(file), '600')
  t.strictSame(await readdir(folder), ['keys.json'])
})

test('a file that cannot be read or is not right is named, with every fault and no key', async t => {
  const folder = await createFolder(t)
  t.throws(() => readKeys(folder), { message: `The keys in ${folder} are not right:\n  - it cannot be read: EISDIR` })
  t.throws(() => readKeys(join(folder, 'none')), { message: `The keys in ${folder}/none are not right:\n  - it cannot be read: ENOENT` })

  const [ed, ec] = [privateKeys.EdDSA(), privateKeys.ES256()]
  const { file } = await keyFile(t, jwks(toJwk(ed), toJwk(ec, { alg: 'HS256' }), toJwk(ed)))
  const before = readFileSync(file, 'utf8')
  const message = `The keys in ${file} are not right:\n  - key 2 says another alg than ES256, which it is for\n` +
    '  - key 3 has the kid of an earlier one'
  for (const act of [() => readKeys(file), () => addKey(file, 'EdDSA'), () => promoteKey(file, 'x'), () => removeKey(file, 'x')]) {
    t.throws(act, { message })
  }
  t.equal(readFileSync(file, 'utf8'), before)
})

test('the command looks after the file, and prints what is in it but no private half', async t => {
  const file = join(await createFolder(t), 'keys.json')
  const said = [runKeys(['new', '--file', file])]
  const [first = ''] = kids(file)
  t.equal(said[0], `signs     EdDSA  ${first}`)

  said.push(runKeys(['new', '--file', file, '--alg', 'RS256']))
  const [, second = ''] = kids(file)
  t.equal(said[1], `signs     EdDSA  ${first}\nverifies  RS256  ${second}`)

  said.push(runKeys(['promote', second, '--file', file]))
  t.equal(said[2], `signs     RS256  ${second}\nverifies  EdDSA  ${first}`)
  t.equal(runKeys(['list', '--file', file]), said[2])
  const hidden = readKeys(file).flatMap(({ privateKey }) => secretsOf(privateKey))

  said.push(runKeys(['remove', '--file', file, first]))
  t.equal(said[3], `signs     RS256  ${second}`)
  t.strictSame(hidden.filter(secret => said.join().includes(secret)), [])
})

test('the command says how it is used', async t => {
  const folder = await createFolder(t)
  const file = join(folder, 'keys.json')
  const usage = /^Say what to do with which file:\n {2}keys new --file FILE \[--alg EdDSA\|ES256\|RS256\] /
  const cases = [
    [], ['new'], ['--file', file], ['new', 'x', '--file', file], ['new', '--file', ''], ['new', '--file', file, '--alg', 'HS256'],
    ['promote', '--file', file], ['promote', 'a', 'b', '--file', file], ['remove', '--file', file], ['list', 'x', '--file', file], ['sign', '--file', file]
  ]
  for (const args of cases) t.throws(() => runKeys(args), { message: usage }, args.join(' '))
  t.throws(() => runKeys(['new', '--file', file, '--bits', '512']), { message: /'--bits'/ })
  t.strictSame(await readdir(folder), [])
})
