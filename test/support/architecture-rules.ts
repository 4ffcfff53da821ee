import type { RouteOptions } from 'fastify'
import { isAccess } from '../../src/access.ts'
import { catalogue, errorDefinition } from '../../src/errors.ts'
import type { DeclaredRoute } from './declared-routes.ts'
import type { Source } from './source.ts'

// The rules of the house, each a function from what it looks at to its complaints, so that a test can show that it
// does complain.

/** The modules that put the others together, and so may know them all. */
const COMPOSERS = ['src/app.ts', 'src/server.ts', 'src/create-admin.ts']

/** For each room, what it may import; a package is not named where any will do. */
const MAY_IMPORT = {
  routes: /^(plugins|sql|src)\/|^[^.]/,
  plugins: /^(plugins|sql|src)\/|^[^.]/,
  sql: /^(sql|src)\/|^(pg|postgrator|@sinclair\/typebox(\/.*)?|node:.*)$/,
  src: /^src\/|^[^.]/
} as const

const room = (path: string): string => path.split('/')[0] ?? ''

export function wrongImports ({ path, imports }: Source): string[] {
  if (COMPOSERS.includes(path)) return []
  const allowed = Object.entries(MAY_IMPORT).find(([name]) => name === room(path))?.[1]
  const isWrong = (target: string) =>
    !allowed?.test(target) || COMPOSERS.includes(target) || room(target) === 'test' ||
    (room(path) !== 'routes' && room(target) === 'routes') ||
    (room(path) === 'src' && ['plugins', 'sql'].includes(room(target)))
  return imports.filter(isWrong).map(target => `${path} imports ${target}`)
}

// A whole statement, in either case, or one that begins in capitals: prose such as "select a role" is neither.
const SQL = [
  /\bselect\b[^.]*\sfrom\s|\binsert\s+into\s|\bupdate\s+[\w."]+\s+set\s|\bdelete\s+from\s+[\w."]+\s*(where|using|returning|;|$)/i,
  /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|BEGIN|COMMIT|ROLLBACK|LISTEN|NOTIFY|COPY|SET)\s/
]

export function strayStatements ({ path, strings }: Source): string[] {
  if (room(path) === 'sql') return []
  return strings.filter(text => SQL.some(pattern => pattern.test(text))).map(text => `${path} holds SQL: ${text}`)
}

export const strayEnvironment = ({ path, readsEnvironment }: Source): string[] =>
  readsEnvironment && path !== 'src/server.ts' ? [`${path} reads the environment`] : []

/** The most lines of one file: two screens. */
const LONGEST = 160

export const tooLong = ({ path, lines }: Source): string[] =>
  lines > LONGEST ? [`${path} has ${lines} lines, more than ${LONGEST}`] : []

/** What is wrong with a module of plugins/: its default export is a fastify-plugin, named like its file. */
export function pluginFaults (path: string, module: { default?: unknown }): string[] {
  const name = path.replace(/^.*\//, '').replace(/\.ts$/, '')
  const meta = Object(Object(module.default)[Symbol.for('plugin-meta')])
  const faults = []
  if (typeof module.default !== 'function') faults.push('has no plugin as its default export')
  if (Object(module.default)[Symbol.for('skip-override')] !== true) faults.push('is not wrapped by fastify-plugin')
  if (meta.name !== name) faults.push(`is named ${meta.name}`)
  if (meta.fastify !== '5.x') faults.push('does not say that it is for Fastify 5.x')
  return faults.map(fault => `${path} ${fault}`)
}

/** The error codes that a route's response schemas name. */
export const repliedCodes = ({ schema }: RouteOptions): string[] =>
  Object.values<unknown>(Object(schema?.response)).flatMap(response => Object(Object(Object(response).properties).code).enum ?? [])

/** What is wrong with a file of routes/, given the routes it made. */
export function routeFaults (source: Source, module: { default?: unknown }, routes: readonly DeclaredRoute[]): string[] {
  const faults: string[] = []
  if (typeof module.default !== 'function') faults.push('has no plugin as its default export')
  if (routes.length === 0) faults.push('yields no route')
  for (const { method, url, config, schema } of routes) {
    const response = Object(schema?.response)
    const missing = (config?.errors ?? []).map(code => errorDefinition(code).status).filter(status => !(status in response))
    if (!isAccess(config?.access)) faults.push(`declares no access for ${method} ${url}`)
    if (!Object.keys(response).some(status => status.startsWith('2'))) faults.push(`has no schema for the success of ${method} ${url}`)
    if (missing.length > 0) faults.push(`has no schema for status ${missing.join(', ')} of ${method} ${url}`)
  }
  const known = routes.flatMap(repliedCodes)
  for (const code of source.thrown) {
    if (!Object.hasOwn(catalogue, code)) faults.push(`throws the unknown error ${code}`)
    else if (!known.includes(code)) faults.push(`throws ${code}, which no route of it declares in config.errors`)
  }
  return faults.map(fault => `${source.path} ${fault}`)
}

/** The codes that stand nowhere but in the catalogue. */
export function unusedCodes (codes: readonly string[], sources: readonly Source[]): string[] {
  const used = new Set(sources.filter(({ path }) => path !== 'src/errors.ts').flatMap(({ strings }) => strings))
  return codes.filter(code => !used.has(code))
}

/** Migrations are 0001, 0002, … with neither gap nor twin: postgrator runs them in that order. */
export function migrationFaults (names: readonly string[]): string[] {
  return [...names].sort().flatMap((name, index) => {
    const expected = String(index + 1).padStart(4, '0')
    return new RegExp(`^${expected}\\.do\\.[a-z0-9-]+\\.sql$`).test(name) ? [] : [`${name} should be ${expected}.do.what-it-does.sql`]
  })
}
