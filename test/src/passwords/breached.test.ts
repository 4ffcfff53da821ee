import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { checkRanges, isBreached } from '../../../src/passwords/breached.ts'
import { signUpBody, startApp } from '../../support/app.ts'
import { createFolder } from '../../support/folder.ts'

const sha1 = (password: string) => createHash('sha1').update(password).digest('hex').toUpperCase()

/** A folder with the first and the last range file, and those of some passwords. */
async function ranges (t: Test, counts: Record<string, number>) {
  const dir = await createFolder(t)
  for (const prefix of ['00000', 'FFFFF']) await writeFile(join(dir, `${prefix}.txt`), '')
  for (const [password, count] of Object.entries(counts)) {
    const digest = sha1(password)
    const lines = ['0'.repeat(35) + ':1', `${digest.slice(5)}:${count}`, 'F'.repeat(35) + ':20']
    await writeFile(join(dir, `${digest.slice(0, 5)}.txt`), lines.join('\r\n'))
  }
  return dir
}

test('a password is breached if its range has the rest of its SHA-1 with a count above 0', async t => {
  const dir = await ranges(t, { 'correct horse': 7, 'battery staple': 0, 'Tr0ub4dor&3': 10 })
  t.equal(await isBreached(dir, 'correct horse'), true)
  t.equal(await isBreached(dir, 'Tr0ub4dor&3'), true)
  t.equal(await isBreached(dir, 'battery staple'), false, 'padding')
})

test('a password whose range is missing cannot be checked', async t => {
  await t.rejects(isBreached(await ranges(t, {}), 'correct horse'), { code: 'ENOENT' })
})

test('a folder without the range files prevents the start', async t => {
  const PASSWORD_BREACHED_DIR = await createFolder(t)
  await t.rejects(startApp(t, { PASSWORD_BREACHED_DIR }), { message: /^PASSWORD_BREACHED_DIR has no file 00000\.txt/ })
  await checkRanges(await ranges(t, {}))
})

test('with PASSWORD_BREACHED_DIR a breached password is rejected, and one that cannot be checked is not accepted', async t => {
  const dir = await ranges(t, { 'correct horse': 7, 'battery staple': 0 })
  const service = await startApp(t, { PASSWORD_BREACHED_DIR: dir, PASSWORD_BLOCKLIST: 'off' })
  const signUp = async (password: string) => {
    const { status, body } = await service.post('/api/auth/signup', { ...signUpBody('alice'), password })
    return [status, body]
  }
  t.strictSame(await signUp('correct horse'), [400, {
    message: 'Failed! The password is known from a data breach.', code: 'PASSWORD_WEAK'
  }])
  t.strictSame(await signUp('another one'), [500, { message: 'Internal server error.', code: 'INTERNAL' }])
  t.equal((await signUp('battery staple'))[0], 200)
})
