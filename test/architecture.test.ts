import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type TObject, Type } from '@sinclair/typebox'
import pg from 'pg'
import { test } from 'tap'
import { type Access, roles } from '../src/access.ts'
import { buildApp } from '../src/app.ts'
import { catalogue } from '../src/errors.ts'
import { configOf, createDatabase, sql } from './support/app.ts'
import {
  circularImports, coverageFaults, declarationFaults, dependencyFaults, environmentFaults, folderFaults, importFaults,
  lengthFaults, migrationFaults, objectFaults, pluginFaults, readmeFaults, routeFaults, sqlStateFaults, statementFaults,
  unusedCodes, wordFaults
} from './support/architecture-rules.ts'
import { columnFaults, describeColumns } from './support/columns.ts'
import { MAIL_SETTINGS } from './support/mails.ts'
import { collectRoutes, type DeclaredRoute } from './support/declared-routes.ts'
import { filesUnder, parseSource, readSource, readText } from './support/source.ts'
import { statementNames } from './support/tables.ts'

const sources = filesUnder(['src', 'plugins', 'routes', 'sql']).map(readSource)
const under = (room: string) => sources.filter(source => source.path.startsWith(`${room}/`))
const load = async (path: string) =>
  await import(pathToFileURL(join(import.meta.dirname, '..', path)).href) as Record<string, unknown>

/** Each rule is also applied to something that breaks it. */
const CAN_FAIL = 'the rule can fail'

test('imports point in one direction: routes, plugins, sql, and src for all three', async t => {
  t.strictSame(sources.flatMap(importFaults), [])
  const wrong = [
    parseSource('sql/a.ts', 'import { x } from \'../plugins/db.ts\''),
    parseSource('sql/a.ts', 'import fastify from \'fastify\''),
    parseSource('src/a.ts', 'export { x } from \'../sql/users.ts\''),
    parseSource('src/api/a.ts', 'import type { Counter } from \'../../plugins/counters.ts\''),
    parseSource('src/config/a.ts', 'import { buildApp } from \'../app.ts\''),
    parseSource('src/app.ts', 'import { Service } from \'./process/service.ts\''),
    parseSource('src/process/a.ts', 'import \'../server.ts\''),
    parseSource('src/process/a.ts', 'import root from \'../../routes/root.ts\''),
    parseSource('plugins/a.ts', 'await import(\'../routes/root.ts\')'),
    parseSource('plugins/a.ts', 'import { usage } from \'../src/process/command-line.ts\''),
    parseSource('routes/a.ts', 'import { app } from \'../src/app.ts\''),
    parseSource('routes/a.ts', 'import { startApp } from \'../test/support/app.ts\'')
  ]
  for (const source of wrong) t.equal(importFaults(source).length, 1, `${CAN_FAIL}: ${source.text}`)
})

test('no import is circular', async t => {
  t.strictSame(circularImports(sources), [])
  const circle = [
    parseSource('src/a.ts', 'import \'./b.ts\''),
    parseSource('src/b.ts', 'import \'./c.ts\''),
    parseSource('src/c.ts', 'import type { B } from \'./b.ts\'')
  ]
  t.strictSame(circularImports(circle), ['src/b.ts → src/c.ts → src/b.ts'], CAN_FAIL)
})

test('src/ has few files at its top, and only the folders of the architecture', async t => {
  t.strictSame(folderFaults(under('src').map(({ path }) => path)), [])
  t.equal(folderFaults(Array.from({ length: 7 }, (_, index) => `src/${index}.ts`)).length, 1, CAN_FAIL)
  t.strictSame(folderFaults(['src/utils/a.ts']), ['src/utils/ is not a folder of the architecture'], CAN_FAIL)
})

test('no file is longer than two screens', async t => {
  t.strictSame(sources.flatMap(lengthFaults), [])
  t.equal(lengthFaults(parseSource('src/a.ts', '\n'.repeat(162))).length, 1, CAN_FAIL)
})

test('SQL is in sql/ only', async t => {
  t.strictSame(sources.flatMap(statementFaults), [])
  t.equal(statementFaults(parseSource('routes/a.ts', 'db.query(`SELECT 1 FROM users`)')).length, 1, CAN_FAIL)
})

test('SQLSTATE codes are in sql/errors.ts only', async t => {
  t.strictSame(sources.flatMap(sqlStateFaults), [])
  for (const text of ['error.code === \'23505\'', 'error.code === "57P01"', '/^(22|23)/.test(error.code)']) {
    t.equal(sqlStateFaults(parseSource('sql/a.ts', text)).length, 1, `${CAN_FAIL}: ${text}`)
  }
})

test('the environment is read in server.ts only', async t => {
  t.strictSame(sources.flatMap(environmentFaults), [])
  t.equal(environmentFaults(parseSource('src/a.ts', 'const { PORT } = process.env')).length, 1, CAN_FAIL)
})

test('no call of Object() hides a type', async t => {
  t.strictSame(sources.flatMap(objectFaults), [])
  t.equal(objectFaults(parseSource('src/a.ts', 'const { code } = Object(error)')).length, 1, CAN_FAIL)
  t.strictSame(objectFaults(parseSource('src/a.ts', 'Object.keys(error)')), [])
})

test('code that the coverage ignores says why', async t => {
  t.strictSame(sources.flatMap(coverageFaults), [])
  for (const comment of ['/* c8 ignore next */', '/* c8 ignore start */', '/* c8 ignore next: */']) {
    t.equal(coverageFaults(parseSource('src/a.ts', comment)).length, 1, `${CAN_FAIL}: ${comment}`)
  }
})

test('words of earlier versions do not return', async t => {
  const files = ['src', 'plugins', 'routes', 'sql', 'docs'].flatMap(folder => filesUnder([folder], ''))
  t.strictSame([...files, 'README.md'].flatMap(path => wordFaults(path, readText(path))), [])
  for (const word of ['figures', 'the authority', 'Playground', 'a board', 'boards', 'strangers', 'in-house']) {
    t.equal(wordFaults('docs/a.md', word).length, 1, `${CAN_FAIL}: ${word}`)
  }
  t.strictSame(wordFaults('docs/a.md', 'gatehouse HOUSEKEEPING_INTERVAL dashboards toAuthority'), [])
})

test('a plugin is named like its file, and for Fastify 5', async t => {
  for (const { path } of under('plugins')) t.strictSame(pluginFaults(path, await load(path)), [])
  t.equal(pluginFaults('plugins/a.ts', { default: async () => {} }).length, 3, CAN_FAIL)
  t.equal(pluginFaults('plugins/a.ts', {}).length, 1, CAN_FAIL)
})

const plugin = (name: string, body: string, dependencies = '[]', comment = '') => parseSource(`plugins/${name}.ts`,
  `export default fp(async fastify => { ${body}\n${comment}\n}, { name: '${name}', dependencies: ${dependencies} })`)
const declare = (name: string) => `declare module 'fastify' { interface FastifyInstance { ${name}: string } }`

test('a plugin declares the plugins whose decorators it uses, and no others without a reason', async t => {
  t.strictSame(dependencyFaults(under('plugins')), [])
  const db = parseSource('plugins/db.ts', declare('db'))
  const guard = parseSource('plugins/guard.ts', 'declare module \'fastify\' { interface FastifyRequest { caller: string } }')
  const faultsOf = (source: typeof db, ...others: Array<typeof db>) => dependencyFaults([db, guard, source, ...others])
  t.strictSame(faultsOf(plugin('a', 'fastify.db.query()')), ['plugins/a.ts uses db without depending on db'], CAN_FAIL)
  t.strictSame(faultsOf(plugin('a', 'const { db } = fastify')), ['plugins/a.ts uses db without depending on db'], CAN_FAIL)
  t.strictSame(faultsOf(plugin('a', 'request.caller.id')), ['plugins/a.ts uses caller without depending on guard'], CAN_FAIL)
  t.strictSame(faultsOf(plugin('a', '', '[\'db\']')), ['plugins/a.ts depends on db without using it or saying why'], CAN_FAIL)
  t.strictSame(faultsOf(plugin('a', '', '[\'bd\']', '// bd: a reason')), ['plugins/a.ts depends on bd, which is not a plugin'], CAN_FAIL)
  t.strictSame(faultsOf(plugin('a', '', '[\'db\']', '// db has to be migrated first.')), [])
  t.strictSame(faultsOf(plugin('a', 'fastify.db', '[\'b\']', '// b: a reason'), plugin('b', 'fastify.db', '[\'db\']')), [],
    'a dependency of a dependency')
})

test('decorators are declared in the plugin that decorates', async t => {
  const app = readSource('src/app.ts')
  t.strictSame(declarationFaults(sources, app), [])
  const faultsOf = (path: string, text: string) => declarationFaults([parseSource(path, text)], parseSource('src/app.ts', ''))
  t.equal(faultsOf('plugins/a.ts', declare('db')).length, 1, CAN_FAIL)
  t.equal(faultsOf('plugins/a.ts', 'fastify.decorate(\'db\', 1)').length, 1, CAN_FAIL)
  t.equal(faultsOf('src/a.ts', `${declare('db')}; fastify.decorate('db', 1)`).length, 1, CAN_FAIL)
  t.equal(faultsOf('plugins/a.ts', 'declare module \'fastify\' { interface FastifyContextConfig { access: string } }').length, 1, CAN_FAIL)
  t.strictSame(faultsOf('plugins/a.ts', `${declare('db')}; fastify.decorate('db', 1)`), [])
})

test('plugins/README.md has one line for each plugin', async t => {
  const paths = under('plugins').map(({ path }) => path)
  t.strictSame(readmeFaults(readText('plugins/README.md'), paths), [])
  t.equal(readmeFaults('', ['plugins/db.ts']).length, 1, CAN_FAIL)
  t.equal(readmeFaults('- [db](db.ts): Owns the pool.\n- [bd](bd.ts): Owns the pool.', ['plugins/db.ts']).length, 1, CAN_FAIL)
  t.equal(readmeFaults('- [db](db.ts): Owns the pool.\n- [db](db.ts): Again.', ['plugins/db.ts']).length, 1, CAN_FAIL)
})

test('a route file registers routes with access and a schema for every status they can send', async t => {
  const url = await createDatabase(t)
  const { app, routes } = await collectRoutes(async () =>
    await buildApp(configOf(url, { ...MAIL_SETTINGS, MAIL_URL: 'smtp://127.0.0.1:1', LOG_LEVEL: 'silent' })))
  t.teardown(async () => await app.close())
  for (const source of under('routes')) {
    const own = routes.filter(route => route.file === source.path)
    t.strictSame(routeFaults(source, await load(source.path), own), [])
  }
  const careless = parseSource('routes/a.ts', 'throw new ApiError(\'USER_NOT_FOUND\')')
  const root = routes.filter(route => route.url === '/')
  t.strictSame(routeFaults(careless, { default: () => {} }, root),
    ['routes/a.ts throws USER_NOT_FOUND, which none of its routes declares in config.errors'], CAN_FAIL)
  t.equal(routeFaults(careless, {}, []).length, 3, CAN_FAIL)
  const bare = root.map((route): DeclaredRoute => ({ ...route, config: { access: 'x' as Access, errors: ['BUSY'] }, schema: {} }))
  t.strictSame(routeFaults(parseSource('routes/a.ts', ''), { default: () => {} }, bare), [
    'routes/a.ts declares no access for GET /',
    'routes/a.ts has no schema for the success of GET /',
    'routes/a.ts has no schema for status 503 of GET /'
  ], CAN_FAIL)
})

test('API keys are admitted by these routes and no others', async t => {
  const url = await createDatabase(t)
  const { app, routes } = await collectRoutes(async () => await buildApp(configOf(url, { ...MAIL_SETTINGS, LOG_LEVEL: 'silent' })))
  await app.close()
  const admitting = routes.filter(({ config }) => config?.apiKeys)
    .map(({ method, url, config }) => `${String(method)} ${url.replace(/(.)\/$/, '$1')}${config?.apiKeys === 'only' ? ' only' : ''}`)
  t.strictSame([...new Set(admitting)].sort(), [
    'GET /api/audit', 'GET /api/auth/check', 'GET /api/test/admin', 'GET /api/test/mod', 'GET /api/test/user', 'GET /api/users',
    'GET /api/users/:id', 'POST /api/auth/introspect only'
  ])
})

test('every error of the catalogue is used', async t => {
  t.strictSame(unusedCodes(Object.keys(catalogue), sources), [])
  t.strictSame(unusedCodes(['NO_SUCH_CODE'], sources), ['NO_SUCH_CODE'], CAN_FAIL)
})

interface Definition {
  name: string
  text: string
  row: TObject
}

/** The definition of what a module of sql/ exports, if it is a statement. */
const definitionOf = (exported: unknown): Definition | undefined =>
  typeof exported === 'function' && 'definition' in exported ? exported.definition as Definition : undefined

test('every statement fits the migrated database, and its result fits its row', async t => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  const names: string[] = []
  for (const { path } of under('sql')) {
    for (const [exported, value] of Object.entries(await load(path))) {
      const definition = definitionOf(value)
      if (!definition) continue
      names.push(definition.name)
      t.strictSame(columnFaults(definition.row, await describeColumns(client, definition.text)), [], `${path} ${exported}`)
    }
  }
  t.strictSame([...names].sort(), (await statementNames()).sort(), 'none is left out')
  t.equal(new Set(names).size, names.length, 'each has a name of its own')
  const columns = await describeColumns(client, 'SELECT 1::bigint AS id')
  t.strictSame(columnFaults(Type.Object({ id: Type.String() }), columns), ['id is bigint'], CAN_FAIL)
  await t.rejects(describeColumns(client, 'SELECT nothing FROM users'), CAN_FAIL)
})

test('the growth bench times every statement', async t => {
  const modules = await Promise.all(under('sql').map(async ({ path }) => await load(path)))
  const { statements } = await load('bench/growth/statements.js') as {
    statements (sql: object): Record<string, (sample: unknown) => { name: string }>
  }
  const { samplesOf } = await load('bench/growth/samples.js') as { samplesOf (size: number): unknown[] }
  const [sample] = samplesOf(1000)
  const entries = Object.entries(statements(Object.assign({}, ...modules) as object))
  t.strictSame(entries.map(([entry, build]) => [entry, build(sample).name]),
    entries.map(([entry]) => [entry, entry.replace(/: .*/, '')]), 'an entry is named like its statement')
  const timed = new Set(entries.map(([, build]) => build(sample).name))
  t.strictSame([...timed].sort(), (await statementNames()).sort())
})

test('the roles in the code are those in the table', async t => {
  const rows = await sql<{ id: number, name: string }>(await createDatabase(t), 'SELECT id, name FROM roles ORDER BY id')
  t.strictSame(rows, roles.map((name, index) => ({ id: index + 1, name })))
})

test('migrations are numbered without gaps', async t => {
  t.strictSame(migrationFaults(readdirSync(join(import.meta.dirname, '..', 'sql', 'migrations'))), [])
  t.equal(migrationFaults(['0001.do.a.sql', '0003.do.b.sql']).length, 1, CAN_FAIL)
})
