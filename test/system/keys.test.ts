import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { createDatabase, SECRET } from '../support/app.ts'
import { createFolder } from '../support/folder.ts'
import { kidOf, send, signIn, signUp } from '../support/http-client.ts'
import { CHEAP, runCommand, runServer } from '../support/process.ts'
import { until } from '../support/wait.ts'

test('the keys of JWT_KEYS_FILE', async t => {
  const cwd = await createFolder(t)
  const run = async (...args: string[]) => await runCommand(t, { cwd, args: ['keys', ...args] })

  await t.test('are created by a command that needs no settings', async t => {
    const { code, stdout, stderr } = await run('new', '--file', 'keys.json')
    t.strictSame({ code, stderr }, { code: 0, stderr: '' })
    t.match(stdout, /^signs {5}EdDSA {2}[\w-]{43}\n$/)
    t.strictSame(await run('list', '--file', 'keys.json'), { code, stdout, stderr })
    t.strictSame(await readdir(cwd), ['keys.json'])
    t.match(await run('neu'), { code: 1, stdout: '', stderr: /^Usage:\n.* keys new --file FILE / })
  })

  const env = { ...CHEAP, DATABASE_URL: await createDatabase(t), REFRESH_SECRET: SECRET, JWT_KEYS_FILE: 'keys.json' }

  await t.test('sign instead of JWT_SECRET, and SIGHUP reloads them', async t => {
    const server = runServer(t, { cwd, env })
    const address = await server.address()
    const loads = () => server.logs().filter(line => line['kids'] !== undefined)
    await signUp(address, 'ann')
    const { accessToken } = (await signIn(address, 'ann')).body
    t.strictSame(loads().map(line => line['kids']), [[kidOf(accessToken)]])
    await run('new', '--file', 'keys.json', '--alg', 'RS256')
    server.child.kill('SIGHUP')
    await until('the reload', () => loads().length === 2)
    const { body } = await send<{ keys: Array<{ alg: string }> }>(`${address}/.well-known/jwks.json`)
    t.strictSame(body.keys.map(key => key.alg), ['EdDSA', 'RS256'])
    t.equal((await send(`${address}/api/users/me`, { token: accessToken })).status, 200)
    server.child.kill('SIGTERM')
    t.equal(await server.ended, 0)
    t.equal(server.stderr(), '')
  })

  await t.test('prevent the start if one is invalid, and are not printed', async t => {
    const file = join(cwd, 'keys.json')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('"EdDSA"', '"ES256"'))
    const { code, stdout, stderr } = await runCommand(t, { cwd, env })
    t.equal(code, 1)
    t.equal(stderr, 'Invalid keys in keys.json:\n  - key 1 has an alg other than EdDSA, which its type requires\n')
    const { keys } = JSON.parse(text) as { keys: Array<{ d: string }> }
    t.strictSame(keys.filter(({ d }) => `${stdout}${stderr}`.includes(d)), [])
  })
})
