import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'tap'
import { invocationOf, usage, version } from '../../../src/process/command-line.ts'

const script = join(import.meta.dirname, '..', '..', '..', 'dist', 'src', 'server.js')
const typed = `node ${relative(process.cwd(), script)}`

test('usage texts name the command that was typed', async t => {
  const cases: Array<[env: Record<string, string>, script: string, start: string, keys: string]> = [
    [{ npm_command: 'exec', npm_lifecycle_event: 'npx' }, script, 'npx gatehouse', 'npx gatehouse keys'],
    [{ npm_command: 'start', npm_lifecycle_event: 'start' }, script, 'npm start --', 'npm run keys --'],
    [{ npm_command: 'run-script', npm_lifecycle_event: 'create-admin' }, script, 'npm start --', 'npm run keys --'],
    [{ npm_command: 'run-script', npm_lifecycle_event: 'import' }, script, 'npm start --', 'npm run keys --'],
    [{ npm_command: 'run-script', npm_lifecycle_event: 'keys:new' }, script, 'npm start --', 'npm run keys --'],
    [{}, script, typed, `${typed} keys`],
    [{}, '/usr/local/bin/gatehouse', 'gatehouse', 'gatehouse keys'],
    [{ npm_command: 'run-script', npm_lifecycle_event: 'deploy' }, script, typed, `${typed} keys`]
  ]
  for (const [env, path, start, keys] of cases) {
    const invocation = invocationOf(env, path)
    t.strictSame([invocation(''), invocation('keys')], [start, keys], JSON.stringify(env))
  }
})

test('--help names every command, as it was typed', async t => {
  t.equal(usage(command => `npx gatehouse ${command}`.trim()), `Usage:
  npx gatehouse   start the service
  npx gatehouse create-admin --username NAME --email ADDRESS   create an admin
  npx gatehouse import --from SOURCE   import users from another service
  npx gatehouse export   write all users as NDJSON
  npx gatehouse keys new|promote|remove|list   maintain the file of JWT_KEYS_FILE, generate a key for ENCRYPTION_KEYS
  npx gatehouse migrate   apply pending migrations
  npx gatehouse sign-out-everybody   end every session
  npx gatehouse --help | --version

Settings are environment variables, or lines of a file .env in the working directory. Without DATABASE_URL the service
runs in development mode, with an embedded PostgreSQL. All settings: docs/configuration.md.`)
})

test('--version prints the version of the package, from whichever folder the code runs in', async t => {
  const root = join(import.meta.dirname, '..', '..', '..')
  const text = readFileSync(join(root, 'package.json'), 'utf8')
  const { version: expected } = JSON.parse(text) as { version: string }
  t.equal(version(), expected)
  t.equal(version(join(root, 'dist', 'src', 'process')), expected)
})
