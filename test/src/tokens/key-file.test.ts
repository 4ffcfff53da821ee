import { chmodSync, readFileSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { addKey, promoteKey, readKeys, removeKey } from '../../../src/tokens/key-file.ts'
import { algorithms } from '../../../src/tokens/signing-keys.ts'
import { createFolder } from '../../support/folder.ts'
import { jwks, keyFile, privateKeys, toJwk, toPem } from '../../support/keys.ts'

const kids = (file: string) => readKeys(file).map(({ kid }) => kid)
const readJwks = (file: string) => (JSON.parse(readFileSync(file, 'utf8')) as { keys: unknown[] }).keys
const mode = (file: string) => (statSync(file).mode & 0o777).toString(8)

test('a new file has one key and is readable by its owner only', async t => {
  for (const alg of algorithms) {
    const folder = await createFolder(t)
    const file = join(folder, 'keys.json')
    const [made, ...others] = addKey(file, alg)
    t.match(made, { alg })
    t.strictSame(others, [])
    t.strictSame(kids(file), [made?.kid])
    t.equal(mode(file), '600')
    t.strictSame(await readdir(folder), ['keys.json'])
    t.match(readJwks(file), [{ ...made?.publicJwk, d: String }])
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
  t.strictSame(promoteKey(file, third).map(({ kid }) => kid), [third, first, second], 'promoting it again changes nothing')
  t.strictSame(removeKey(file, second).map(({ kid }) => kid), [third, first])
  t.strictSame(kids(file), [third, first])

  const before = readFileSync(file, 'utf8')
  t.throws(() => removeKey(file, third), { message: `The key ${third} signs. Promote another key first.` })
  t.throws(() => removeKey(file, second), { message: `There is no key ${second}. The file has ${third}, ${first}.` })
  t.throws(() => promoteKey(file, 'x'), { message: `There is no key x. The file has ${third}, ${first}.` })
  t.equal(readFileSync(file, 'utf8'), before)
})

test('no kid of a new key begins with a dash, which a command line would take for an option', async t => {
  const folder = await createFolder(t)
  // By chance one of 64 would: of 600, none in 8 of 100,000 runs.
  const made = Array.from({ length: 600 }, (_, index) => addKey(join(folder, `${index}.json`), 'EdDSA')[0]?.kid ?? '-')
  t.strictSame(made.filter(kid => kid.startsWith('-')), [])
})

test('a PEM file becomes a JWK Set whose keys keep their kids, and the file keeps its mode', async t => {
  const { file } = await keyFile(t, toPem(privateKeys.RS256()) + toPem(privateKeys.EdDSA()))
  chmodSync(file, 0o400)
  const before = readKeys(file).map(({ kid, publicJwk }) => ({ kid, publicJwk }))
  addKey(file, 'ES256')
  t.strictSame(readKeys(file).slice(0, 2).map(({ kid, publicJwk }) => ({ kid, publicJwk })), before)
  t.equal(readJwks(file).length, 3)
  t.equal(mode(file), '400')
})

test('a file that other users may read is rejected, with the command that corrects it', async t => {
  const { file } = await keyFile(t, toPem(privateKeys.EdDSA()))
  const fault = (right: number) =>
    ({ message: `Invalid keys in ${file}:\n  - other users may read or change the file; run: chmod ${right} ${file}` })
  for (const exposed of [0o640, 0o604, 0o644, 0o620, 0o601, 0o777]) {
    chmodSync(file, exposed)
    for (const use of [readKeys, (file: string) => addKey(file, 'EdDSA')]) t.throws(() => use(file), fault(600), exposed.toString(8))
  }
  for (const own of [0o600, 0o400]) {
    chmodSync(file, own)
    t.equal(kids(file).length, 1)
  }

  await t.test('a group may read a file of another user, such as root', async t => {
    t.intercept(process, 'getuid', { value: () => 12_345 })
    for (const exposed of [0o644, 0o660, 0o641]) {
      chmodSync(file, exposed)
      t.throws(() => readKeys(file), fault(640), exposed.toString(8))
    }
    for (const closed of [0o640, 0o440, 0o600]) {
      chmodSync(file, closed)
      t.equal(kids(file).length, 1)
    }
  })
})

test('the error for an unreadable or invalid file names the file and every fault', async t => {
  const folder = await createFolder(t)
  t.throws(() => readKeys(folder), { message: `Invalid keys in ${folder}:\n  - the file cannot be read: EISDIR` })
  t.throws(() => readKeys(join(folder, 'none')), { message: `Invalid keys in ${folder}/none:\n  - the file cannot be read: ENOENT` })

  const [ed, ec] = [privateKeys.EdDSA(), privateKeys.ES256()]
  const { file } = await keyFile(t, jwks(toJwk(ed), toJwk(ec, { alg: 'HS256' }), toJwk(ed)))
  const before = readFileSync(file, 'utf8')
  const message = `Invalid keys in ${file}:\n  - key 2 has an alg other than ES256, which its type requires\n` +
    '  - key 3 has the same kid as an earlier key'
  const uses = [readKeys, (file: string) => addKey(file, 'EdDSA'), (file: string) => promoteKey(file, 'x'), (file: string) => removeKey(file, 'x')]
  for (const use of uses) t.throws(() => use(file), { message })
  t.equal(readFileSync(file, 'utf8'), before)
})
