import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type TObject, Type } from '@sinclair/typebox'
import pg from 'pg'
import { test } from 'tap'
import { roles } from '../src/access.ts'
import { buildApp } from '../src/app.ts'
import { catalogue } from '../src/errors.ts'
import { configOf, createDatabase, sql } from './support/app.ts'
import { columnFaults, describeColumns } from './support/columns.ts'
import { collectRoutes } from './support/declared-routes.ts'
import {
  migrationFaults, pluginFaults, routeFaults, strayEnvironment, strayStatements, tooLong, unusedCodes, wrongImports
} from './support/architecture-rules.ts'
import { filesUnder, parseSource, readSource } from './support/source.ts'

const sources = filesUnder(['src', 'plugins', 'routes', 'sql']).map(readSource)
const under = (room: string) => sources.filter(source => source.path.startsWith(`${room}/`))
const load = async (path: string): Promise<Record<string, unknown>> =>
  await import(pathToFileURL(join(import.meta.dirname, '..', path)).href)

test('imports go one way: routes, plugins, sql, and all may use src', async t => {
  t.strictSame(sources.flatMap(wrongImports), [])
  const bad = [
    parseSource('sql/a.ts', 'import { x } from \'../plugins/db.ts\''),
    parseSource('sql/a.ts', 'import fastify from \'fastify\''),
    parseSource('src/a.ts', 'export { x } from \'../sql/users.ts\''),
    parseSource('plugins/a.ts', 'await import(\'../routes/root.ts\')'),
    parseSource('routes/a.ts', 'import { app } from \'../src/app.ts\'')
  ]
  t.equal(bad.flatMap(wrongImports).length, bad.length, 'the rule can fail')
})

test('SQL stands in sql/ only', async t => {
  t.strictSame(sources.flatMap(strayStatements), [])
  t.equal(strayStatements(parseSource('routes/a.ts', 'db.query(`SELECT 1 FROM users`)')).length, 1, 'the rule can fail')
})

test('the environment is read in server.ts only', async t => {
  t.strictSame(sources.flatMap(strayEnvironment), [])
  t.equal(strayEnvironment(parseSource('src/a.ts', 'const { PORT } = process.env')).length, 1, 'the rule can fail')
})

test('no file is longer than two screens', async t => {
  t.strictSame(sources.flatMap(tooLong), [])
  t.equal(tooLong(parseSource('src/a.ts', '\n'.repeat(200))).length, 1, 'the rule can fail')
})

test('a plugin is named like its file and says for which Fastify it is', async t => {
  for (const { path } of under('plugins')) t.strictSame(pluginFaults(path, await load(path)), [])
  t.ok(pluginFaults('plugins/a.ts', { default: async () => {} }).length > 0, 'the rule can fail')
})

test('a route file yields routes with access and a schema for every status they can send', async t => {
  const url = await createDatabase(t)
  const { app, routes } = await collectRoutes(async () => await buildApp(configOf(url, { LOG_LEVEL: 'silent' })))
  t.teardown(async () => await app.close())
  for (const source of under('routes')) {
    const own = routes.filter(route => route.file === source.path)
    t.strictSame(routeFaults(source, await load(source.path), own), [])
  }
  const careless = parseSource('routes/a.ts', 'throw new ApiError(\'USER_NOT_FOUND\')')
  t.ok(routeFaults(careless, { default: () => {} }, routes.filter(route => route.url === '/')).length > 0, 'the rule can fail')
  t.ok(routeFaults(careless, {}, []).length > 1, 'the rule can fail')
})

test('every error of the catalogue is used', async t => {
  t.strictSame(unusedCodes(Object.keys(catalogue), sources), [])
  t.strictSame(unusedCodes(['NO_SUCH_CODE'], sources), ['NO_SUCH_CODE'], 'the rule can fail')
})

test('every statement fits the migrated database, and its answer its row', async t => {
  const client = new pg.Client({ connectionString: await createDatabase(t) })
  await client.connect()
  t.teardown(async () => await client.end())
  const names: string[] = []
  for (const { path } of under('sql')) {
    for (const [exported, value] of Object.entries(await load(path))) {
      const definition: { name: string, text: string, row: TObject } | undefined = Object(value).definition
      if (!definition) continue
      names.push(definition.name)
      t.strictSame(columnFaults(definition.row, await describeColumns(client, definition.text)), [], `${path} ${exported}`)
    }
  }
  t.ok(names.length > 5)
  t.equal(new Set(names).size, names.length, 'each has a name of its own')
  t.strictSame(columnFaults(Type.Object({ id: Type.String() }), await describeColumns(client, 'SELECT 1::bigint AS id')), ['id is bigint'], 'the rule can fail')
  await t.rejects(describeColumns(client, 'SELECT nothing FROM users'), 'the rule can fail')
})

test('the roles of the code are those of the table', async t => {
  const rows = await sql<{ id: number, name: string }>(await createDatabase(t), 'SELECT id, name FROM roles ORDER BY id')
  t.strictSame(rows, roles.map((name, index) => ({ id: index + 1, name })))
})

test('migrations are numbered without a gap', async t => {
  t.strictSame(migrationFaults(readdirSync(join(import.meta.dirname, '..', 'sql', 'migrations'))), [])
  t.equal(migrationFaults(['0001.do.a.sql', '0003.do.b.sql']).length, 1, 'the rule can fail')
})
