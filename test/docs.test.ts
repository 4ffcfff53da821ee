import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { buildApp } from '../src/app.ts'
import { configOf, createDatabase, startApp } from './support/app.ts'
import { collectRoutes } from './support/declared-routes.ts'
import { envExample, errorsTable, routesTable, settingsTable } from './support/tables.ts'

// `npm run docs` writes the tables instead of comparing them.
const writing = process.argv.includes('--write')

const file = (name: string) => join(import.meta.dirname, '..', name)
const readme = () => readFileSync(file('README.md'), 'utf8')

const tables: Record<string, (url: string) => Promise<string> | string> = {
  settings: settingsTable,
  errors: errorsTable,
  async routes (url) {
    const { app, routes } = await collectRoutes(async () => await buildApp(configOf(url, { LOG_LEVEL: 'silent' })))
    await app.close()
    return routesTable(routes)
  }
}

for (const [name, make] of Object.entries(tables)) {
  test(`the README's table of ${name} is the code's`, async t => {
    const made = await make(await createDatabase(t))
    const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`]
    const [before = '', rest = ''] = readme().split(begin)
    const [found, ...after] = rest.split(end)
    if (writing) writeFileSync(file('README.md'), [before, begin, made, end, ...after].join(''))
    else t.equal(found, made, 'run `npm run docs` to write it')
  })
}

test('.env.example names every setting', async t => {
  if (writing) writeFileSync(file('.env.example'), envExample())
  else t.equal(readFileSync(file('.env.example'), 'utf8'), envExample(), 'run `npm run docs` to write it')
})

test('the README\'s walk-through works as pasted', async t => {
  const { app } = await startApp(t, { SIGNUP_ROLES: ['user', 'moderator', 'admin'], REFRESH_GRACE: 1 })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const section = readme().split('## Walk-through')[1]?.split('\n## ')[0] ?? ''
  const pasted = Array.from(section.matchAll(/```sh\n([^]*?)```/g), match => match[1]).join('')
    .replace('http://localhost:8080', address).replace('sleep 11', 'sleep 1.2')
  const { stdout } = await promisify(execFile)('sh', ['-e', '-c', pasted])
  const said = stdout.split('\n').filter(line => line !== '')
  t.match(said, [
    '{"message":"User was registered successfully!"}',
    '{"message":"User was registered successfully!"}',
    '{"message":"User was registered successfully!"}',
    '{"message":"No token provided!","code":"ACCESS_TOKEN_MISSING"}',
    'Public Content.',
    'User Content.',
    '{"message":"Require Admin Role!","code":"ADMIN_REQUIRED"}',
    'Admin Content.',
    /^\{"id":\d+,"username":"ursula","email":"ursula@example.com","roles":\["ROLE_USER"\],"created":"[^"]+"\}$/,
    'the same successor',
    'a late tab gets the head',
    '{"message":"Refresh token is not in database!","code":"REFRESH_TOKEN_UNKNOWN"}',
    '{"message":"Refresh token is not in database!","code":"REFRESH_TOKEN_UNKNOWN"}',
    '{"message":"Unauthorized!","code":"ACCESS_TOKEN_INVALID"}',
    '{"message":"Require Admin Role!","code":"ADMIN_REQUIRED"}',
    'Admin Content.',
    '{"message":"You have been signed out."}',
    '{"message":"Unauthorized!","code":"ACCESS_TOKEN_INVALID"}'
  ])
})
