import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import type { FastifyPluginAsync } from 'fastify'
import { test } from 'tap'
import { buildApp } from '../src/app.ts'
import { readSettings, settingSchemas } from '../src/config/read-settings.ts'
import { property } from '../src/unknown.ts'
import { configOf, createDatabase, PASSWORD, SECRET, signUpBody, startApp } from './support/app.ts'
import { collectRoutes } from './support/declared-routes.ts'
import { keyFile, privateKeys, toPem } from './support/keys.ts'
import { answerFaults, answersOf, blocksOf, commandFaults, folderInCheckout, linkFaults, runBlocks } from './support/readme.ts'
import { filesUnder } from './support/source.ts'
import {
  envExample, errorsTable, metricsTable, routesTable, rowsUnder, securityEvents, settingsTable, statementNames, unitOf
} from './support/tables.ts'

// `npm run docs` writes the tables instead of comparing them.
const writing = process.argv.includes('--write')

const root = join(import.meta.dirname, '..')
const file = (name: string) => join(root, name)
const read = (name: string) => readFileSync(file(name), 'utf8')

const documents = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md',
  ...filesUnder(['docs', 'plugins'], '.md'), 'examples/behind-nginx/README.md',
  'examples/client/README.md', 'examples/resource-server/README.md']

interface Table {
  name: string
  document: string
  generate (url: string): Promise<string> | string
}

const tables: Table[] = [
  { name: 'settings', document: 'docs/configuration.md', generate: settingsTable },
  { name: 'errors', document: 'docs/api.md', generate: errorsTable },
  {
    name: 'routes',
    document: 'docs/api.md',
    async generate (url) {
      const { app, routes } = await collectRoutes(async () => await buildApp(configOf(url, { LOG_LEVEL: 'silent' })))
      await app.close()
      return routesTable(routes)
    }
  },
  {
    name: 'metrics',
    document: 'docs/operations.md',
    async generate (url) {
      const app = await buildApp(configOf(url, { LOG_LEVEL: 'silent' }))
      await app.ready()
      const generated = metricsTable(app.metrics)
      await app.close()
      return generated
    }
  },
  {
    name: 'growth',
    document: 'docs/growth.md',
    async generate () {
      const { toTable } = await import(pathToFileURL(file('bench/growth/report.js')).href) as { toTable (run: unknown): string }
      return toTable(JSON.parse(read('docs/growth.json')))
    }
  }
]

for (const { name, document, generate } of tables) {
  test(`the table of ${name} in ${document} equals ${name === 'growth' ? 'the last run' : 'the code'}`, async t => {
    const generated = await generate(await createDatabase(t))
    const text = read(document)
    const begin = `<!-- ${name} -->\n`
    const from = text.indexOf(begin) + begin.length
    const to = text.indexOf(`<!-- /${name} -->`)
    if (writing) writeFileSync(file(document), `${text.slice(0, from)}${generated}\n${text.slice(to)}`)
    else t.equal(text.slice(from, to), `${generated}\n`, 'run `npm run docs` to write it')
  })
}

test('.env.example has every setting with its default', async t => {
  if (writing) writeFileSync(file('.env.example'), envExample())
  else t.equal(read('.env.example'), envExample(), 'run `npm run docs` to write it')
})

test('every duration and size has a unit in the table of settings', async t => {
  const measured = [...settingSchemas].filter(([name]) =>
    /(_TTL|_TIMEOUT|_DELAY(_MAX)?|_GRACE|_INTERVAL|_HEARTBEAT|_LENGTH|_MIB|_KIB|^BODY_LIMIT|_HEADER_SIZE)$/.test(name))
  t.ok(measured.length > 15)
  t.strictSame(measured.filter(([, schema]) => unitOf(schema) === '').map(([name]) => name), [])
})

test('the table of security events in docs/operations.md has every event with its level', async t => {
  const documented = rowsUnder(read('docs/operations.md'), '## Security events').map(([event, level]) => [event, level])
  t.strictSame(documented.sort(), securityEvents().map(([event, level]) => [`\`${event}\``, level]).sort())
})

test('the table of statements in docs/distributed-databases.md has every statement', async t => {
  const documented = rowsUnder(read('docs/distributed-databases.md'), '## Statements')
    .flatMap(([names = '']) => Array.from(names.matchAll(/`(\w+)`/g), match => String(match[1])))
  const names = await statementNames()
  t.ok(names.length > 20)
  t.strictSame(documented.sort(), names.sort())
})

test('links between the documents resolve', async t => {
  const texts = new Map(documents.map(path => [path, read(path)]))
  t.strictSame(linkFaults(texts, path => existsSync(file(path))), [])
  const wrong = new Map([['docs/a.md', '# A\n[a](#a) [b](b.md) [c](#nothing) [d](https://example.com/d.md)']])
  t.strictSame(linkFaults(wrong, () => false), ['docs/a.md: b.md', 'docs/a.md: #nothing'], 'the rule can fail')
})

test('the README has at most 150 lines and an index of docs/', async t => {
  const readme = read('README.md')
  t.ok(readme.trimEnd().split('\n').length <= 150, `${readme.trimEnd().split('\n').length} lines`)
  t.strictSame(filesUnder(['docs'], '.md').filter(path => !readme.includes(`](${path})`)), [])
})

test('the ten settings of the README exist', async t => {
  const names = rowsUnder(read('README.md'), '## Settings').map(([name = '']) => name.replaceAll('`', ''))
  t.equal(names.length, 10)
  t.strictSame(names.filter(name => !settingSchemas.has(name)), [])
})

test('the README\'s blocks work as pasted and get the answers that it shows', { skip: writing }, async t => {
  const { file: keys } = await keyFile(t, toPem(privateKeys.EdDSA()))
  const { app, url } = await startApp(t, {
    SIGNUP_ROLES: ['user', 'moderator', 'admin'], REFRESH_GRACE: 1, JWT_KEYS_FILE: keys, JWT_AUDIENCES: ['orders']
  })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const readme = read('README.md').replaceAll('http://localhost:8080', address)
  const blocks = blocksOf(readme)
  const inlineCommands = Array.from(readme.matchAll(/`(npm [^`]+)`/g), match => String(match[1]))
  // The command of the checklist comes before the block that starts the service.
  const [createAdmin = ''] = inlineCommands.filter(command => command.includes('create-admin'))
  const shell = blocks.filter(({ language }) => language === 'sh')
  shell.splice(-1, 0, { language: 'sh', text: `export JWT_SECRET=${SECRET.replaceAll(' ', '-')}\n${createAdmin} > /dev/null\n` })
  const run = await runBlocks(t, shell, { DATABASE_URL: url, input: `${PASSWORD} 7\n` })

  await t.test('every shell block exits successfully and prints what the README shows', async t => {
    t.equal(run.code, 0, run.stderr)
    for (const { block, printed } of run.outputs) {
      t.strictSame(answerFaults(answersOf(blocks, block), printed), [], block.text)
    }
  })

  await t.test('every npm command is one of package.json', async t => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const commands = [...run.commands, ...inlineCommands.flatMap(command => command.split(' && '))]
    for (const command of ['npm ci', 'npm start', 'npm test', 'npm run build']) t.ok(commands.includes(command), command)
    t.strictSame(commandFaults(commands, Object.keys(scripts)), [])
    t.equal(commandFaults(['npm run nothing', 'npm strat'], Object.keys(scripts)).length, 2, 'the rule can fail')
  })

  await t.test('the production block starts a service that is ready', async t => {
    const started = run.commands.find(command => command.endsWith('dist/src/server.js'))
    t.ok(started, 'it starts the build')
    t.match(read('package.json'), /"start": "node --enable-source-maps dist\/src\/server.js"/)
    const settings = readSettings(run.environment)
    const production = await startApp(t, { ...settings, DATABASE_URL: url, LOG_LEVEL: 'debug', MAX_EVENT_LOOP_DELAY: 0 })
    t.match(await production.get('/health/ready'), { status: 200, body: { status: 'ready' } })
    t.match(await production.post('/api/auth/signin', { username: 'root', password: `${PASSWORD} 7` }),
      { status: 200, body: { roles: ['ROLE_ADMIN'] } }, 'with the admin that it created')
  })

  // Inside the checkout, so that the blocks find their packages.
  const folder = await folderInCheckout(t)
  const scripts = blocks.filter(({ language }) => language === 'js')
  const load = async (name: string, text: string) => {
    const path = join(folder, name)
    writeFileSync(path, text)
    return await import(pathToFileURL(path).href) as Record<string, unknown>
  }

  await t.test('the front-end\'s block prints what the README shows', async t => {
    const [block] = scripts.filter(({ text }) => text.includes('auth/signin'))
    const printed = t.capture(console, 'log')
    await load('front-end.mjs', String(block?.text))
    const [, promised] = /console\.log\(.*\) \/\/ (.*)/.exec(String(block?.text)) ?? []
    t.strictSame(printed().map(({ args }: { args: unknown[] }) => format(...args)), [promised])
  })

  await t.test('the other service\'s block verifies access tokens by the published keys', async t => {
    const [block] = scripts.filter(({ text }) => text.includes('createRemoteJWKSet'))
    const { verify } = await load('service.mjs', String(block?.text)) as { verify (token: string): Promise<unknown> }
    const post = async (url: string, payload: object): Promise<unknown> =>
      JSON.parse((await app.inject({ method: 'POST', url, payload })).body)
    const signedIn = await post('/api/auth/signin', { username: 'ada', password: PASSWORD })
    const refreshToken = property(signedIn, 'refreshToken')
    const refreshed = await post('/api/auth/refreshtoken', { refreshToken, audience: 'orders' })
    const token = String(property(refreshed, 'accessToken'))
    t.match(await verify(token), { roles: ['admin'], iss: 'gatehouse', aud: 'orders' })
    await t.rejects(verify(`${token}x`))
    await t.rejects(verify(String(property(signedIn, 'accessToken'))), { message: /"aud"/ })
  })
})

test('the comparison of answers can fail', async t => {
  t.strictSame(answerFaults(['{"id":1,"token":"…"}', 'User Content.'], ['{"id":1,"token":"abc"}', 'User Content.']), [])
  t.equal(answerFaults(['User Content.'], ['Admin Content.']).length, 1)
  t.equal(answerFaults(['User Content.'], []).length, 1)
  t.equal(answerFaults([], ['User Content.']).length, 1)
})

test('the endpoint of docs/architecture.md works', { skip: writing }, async t => {
  const [example] = blocksOf(read('docs/architecture.md')).filter(({ language }) => language === 'ts')
  const folder = await folderInCheckout(t)
  const path = join(folder, 'whoami.ts')
  const source = pathToFileURL(file('src')).href
  writeFileSync(path, String(example?.text).replaceAll('../../../src', source))
  const { default: routes } = await import(pathToFileURL(path).href) as { default: FastifyPluginAsync }
  const config = configOf(await createDatabase(t))
  const app = await buildApp(config, { write () {} })
  t.teardown(async () => await app.close())
  await app.register(routes, { prefix: '/api/users' })
  await app.inject({ method: 'POST', url: '/api/auth/signup', payload: signUpBody('ann') })
  const { body } = await app.inject({
    method: 'POST', url: '/api/auth/signin', payload: { username: 'ann', password: PASSWORD }
  })
  const { id, accessToken } = JSON.parse(body) as { id: number, accessToken: string }
  const answer = await app.inject({ url: '/api/users/whoami', headers: { 'x-access-token': accessToken } })
  t.strictSame([answer.statusCode, JSON.parse(answer.body)], [200, { id }])
  t.equal((await app.inject({ url: '/api/users/whoami' })).statusCode, 403)
})
