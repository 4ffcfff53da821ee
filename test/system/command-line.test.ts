import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { createFolder } from '../support/folder.ts'
import { runCommand, serviceArgs } from '../support/process.ts'

const root = join(import.meta.dirname, '..', '..')

test('the options and commands that only print', async t => {
  const cwd = await createFolder(t)
  const run = async (...args: string[]) => await runCommand(t, { cwd, args })
  const typed = `node ${relative(cwd, join(root, 'src', 'server.ts'))}`

  await t.test('--help and -h print the usage', async t => {
    const help = await run('--help')
    t.strictSame({ code: help.code, stderr: help.stderr }, { code: 0, stderr: '' })
    t.strictSame(help.stdout.split('\n').slice(0, 9), [
      'Usage:',
      `  ${typed}   start the service`,
      `  ${typed} create-admin --username NAME --email ADDRESS   create an admin`,
      `  ${typed} import --from SOURCE   import users from another service`,
      `  ${typed} export   write all users as NDJSON`,
      `  ${typed} keys new|promote|remove|list   maintain the file of JWT_KEYS_FILE, generate a key for ENCRYPTION_KEYS`,
      `  ${typed} migrate   apply pending migrations`,
      `  ${typed} sign-out-everybody   end every session`,
      `  ${typed} --help | --version`
    ])
    t.strictSame(await run('-h'), help)
  })

  await t.test('--version prints the version of the package', async t => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    t.strictSame(await run('--version'), { code: 0, stdout: `${version}\n`, stderr: '' })
  })

  await t.test('create-admin and keys have a --help of their own', async t => {
    t.strictSame(await run('create-admin', '--help'), {
      code: 0,
      stdout: `Usage: ${typed} create-admin --username NAME --email ADDRESS\n` +
        'The password is asked for, or read from a pipe.\n',
      stderr: ''
    })
    t.match(await run('keys', '--help'), { code: 0, stdout: `Usage:\n  ${typed} keys new --file FILE [--alg`, stderr: '' })
  })

  await t.test('create-admin without names prints its usage as an error', async t => {
    t.match(await run('create-admin', '--username', 'ann'),
      { code: 1, stdout: '', stderr: /^Usage: .* create-admin --username NAME --email ADDRESS\n/ })
  })

  await t.test('an unknown command is an error that names the known ones', async t => {
    const { code, stdout, stderr } = await run('create-user')
    t.strictSame([code, stdout], [1, ''])
    t.match(stderr, `Unknown command "create-user".\nUsage:\n  ${typed}   start the service\n`)
  })
})

test('usage texts name the command that was typed', async t => {
  const cwd = await createFolder(t)
  const service = [process.execPath, ...serviceArgs].map(arg => `'${arg}'`).join(' ')
  // The scripts and the bin of package.json, but for the sources instead of the build.
  await writeFile(join(cwd, 'package.json'), JSON.stringify({
    private: true, scripts: { start: service, 'create-admin': `${service} create-admin`, keys: `${service} keys` }
  }))
  await mkdir(join(cwd, 'node_modules', '.bin'), { recursive: true })
  await writeFile(join(cwd, 'node_modules', '.bin', 'gatehouse'), `#!/bin/sh\nexec ${service} "$@"\n`, { mode: 0o755 })
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))
  const run = async (program: string, ...args: string[]) =>
    (await promisify(execFile)(program, args, { cwd, env })).stdout

  const start = await run('npm', 'start', '--silent', '--', '--help')
  t.match(start, '  npm start --   start the service\n  npm run create-admin -- --username NAME')
  t.match(await run('npm', 'run', '--silent', 'create-admin', '--', '--help'), /^Usage: npm run create-admin -- --username/)
  t.match(await run('npm', 'run', '--silent', 'keys', '--', '--help'), /^Usage:\n {2}npm run keys -- new --file FILE /)
  t.match(await run('npx', '--no-install', 'gatehouse', 'keys', '--help'), /^Usage:\n {2}npx gatehouse keys new --file FILE /)
})
