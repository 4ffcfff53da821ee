import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { root, run, startDescribed } from './description.ts'

const folder = join(root, 'examples', 'client')
const bin = (name: string) => join(folder, 'node_modules', '.bin', name)

test('the types of the example client equal the description', async t => {
  const { file } = await startDescribed(t)
  const generated = join(await createFolder(t), 'schema.d.ts')
  t.equal((await run(bin('openapi-typescript'), [file, '-o', generated])).code, 0)
  t.equal(await readFile(join(folder, 'schema.d.ts'), 'utf8'), await readFile(generated, 'utf8'), 'npm run generate in examples/client')
})

test('the example client compiles, signs in, refreshes and prints errors', async t => {
  const built = await run(bin('tsc'), [], folder)
  t.strictSame(built, { code: 0, stdout: '', stderr: '' })
  const { origin } = await startDescribed(t, { ACCESS_TOKEN_TTL: 1 })
  const ran = await run('env', [`GATEHOUSE=${origin}`, process.execPath, 'dist/main.js', '--wait'], folder)
  t.equal(ran.stderr, '')
  t.equal(ran.code, 0)
  t.strictSame(ran.stdout.split('\n'), [
    'waiting for the access token to expire',
    '200 signed in again',
    '200 User Content.',
    '403 { message: \'Require Admin Role!\', code: \'ADMIN_REQUIRED\' }',
    'alice [ \'ROLE_USER\' ]',
    '403 ACCESS_TOKEN_MISSING',
    ''
  ])
})
