import { chmodSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { writeSecretFile } from '../../../src/tokens/secret-file.ts'
import { createFolder } from '../../support/folder.ts'

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8)

test('only its owner can read a new file', async t => {
  const folder = await createFolder(t)
  const file = join(folder, 'secret')
  writeSecretFile(file, 'the text')
  t.equal(readFileSync(file, 'utf8'), 'the text')
  t.equal(modeOf(file), '600')
  t.strictSame(await readdir(folder), ['secret'], 'no draft is left')
})

test('a file that exists is replaced and keeps its mode and its owner', async t => {
  const file = join(await createFolder(t), 'secret')
  writeFileSync(file, 'a longer text than the new one')
  chmodSync(file, 0o640)
  const { ino, uid, gid } = statSync(file)
  writeSecretFile(file, 'the text')
  t.equal(readFileSync(file, 'utf8'), 'the text')
  t.equal(modeOf(file), '640')
  t.match(statSync(file), { uid, gid })
  t.not(statSync(file).ino, ino, 'it was renamed, not overwritten: a reader never sees a part of it')
})

test('the draft of an interrupted attempt does not get in the way', async t => {
  const folder = await createFolder(t)
  const file = join(folder, 'secret')
  writeFileSync(`${file}.draft`, 'half a t', { mode: 0o666 })
  writeSecretFile(file, 'the text')
  t.equal(readFileSync(file, 'utf8'), 'the text')
  t.equal(modeOf(file), '600')
  t.strictSame(await readdir(folder), ['secret'])
})

test('a folder that does not exist is an error', async t => {
  const folder = await createFolder(t)
  t.throws(() => writeSecretFile(join(folder, 'none', 'secret'), 'the text'), { code: 'ENOENT' })
})

test('a link stays a link, and the file that it leads to is replaced', async t => {
  const folder = await createFolder(t)
  const [file, link] = [join(folder, 'secret'), join(folder, 'link')]
  writeFileSync(file, 'the old text')
  symlinkSync(file, link)
  writeSecretFile(link, 'the text')
  t.equal(readFileSync(file, 'utf8'), 'the text')
  t.equal(lstatSync(link).isSymbolicLink(), true)
  t.strictSame((await readdir(folder)).sort(), ['link', 'secret'])
})
