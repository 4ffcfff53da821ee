import type { RouteOptions } from 'fastify'
import { isAccess } from '../../src/access.ts'
import { codesOf } from '../../src/api/openapi.ts'
import { catalogue, errorDefinition } from '../../src/errors.ts'
import { isRecord } from '../../src/unknown.ts'
import type { DeclaredRoute } from './declared-routes.ts'
import type { Source } from './source.ts'

// The rules of the architecture. Each is a function from what it checks to its faults, so that a test can show that the
// rule can fail.

const room = (path: string): string => path.split('/')[0] ?? ''
const isRoom = (name: string): boolean => ['routes', 'plugins', 'sql', 'src'].includes(name)

const isProcess = (path: string): boolean => path === 'src/server.ts' || path.startsWith('src/process/')

const SQL_PACKAGES = /^(pg|postgrator|@sinclair\/typebox(\/.*)?|node:.*)$/

/** Whether a file may import a file or a package. routes → plugins → sql; all three may import src. */
function mayImport (path: string, target: string): boolean {
  if (!isRoom(room(target))) return !target.startsWith('test/') && (room(path) !== 'sql' || SQL_PACKAGES.test(target))
  if (room(target) === 'routes' || target === 'src/server.ts') return false
  if (target.startsWith('src/process/')) return isProcess(path)
  if (isProcess(path)) return true
  if (target === 'src/app.ts') return false
  if (path === 'src/app.ts') return true
  if (room(target) === 'src') return true
  if (room(target) === 'sql') return room(path) !== 'src'
  return room(path) === 'plugins' || room(path) === 'routes'
}

export const importFaults = ({ path, imports }: Source): string[] =>
  imports.filter(target => !mayImport(path, target)).map(target => `${path} imports ${target}`)

/** Circular imports, each once, as `a → b → a`. */
export function circularImports (sources: readonly Source[]): string[] {
  const imports = new Map(sources.map(source => [source.path, source.imports]))
  const finished = new Set<string>()
  const faults: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) faults.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    if (trail.includes(path) || finished.has(path)) return
    for (const target of imports.get(path) ?? []) visit(target, [...trail, path])
    finished.add(path)
  }
  for (const path of imports.keys()) visit(path, [])
  return faults
}

const MAX_TOP_FILES = 6
const FOLDERS = ['process', 'config', 'api', 'tokens', 'passwords', 'factors', 'telemetry', 'mail', 'verify']

/** @param paths of the files in src/ */
export function folderFaults (paths: readonly string[]): string[] {
  const parts = paths.map(path => path.split('/').slice(1))
  const top = parts.filter(({ length }) => length === 1)
  const folders = new Set(parts.filter(({ length }) => length > 1).map(([folder = '']) => folder))
  return [
    ...top.length > MAX_TOP_FILES ? [`src/ has ${top.length} files at its top, more than ${MAX_TOP_FILES}`] : [],
    ...[...folders].filter(folder => !FOLDERS.includes(folder))
      .map(folder => `src/${folder}/ is not a folder of the architecture`)
  ]
}

const MAX_LINES = 160

export const lengthFaults = ({ path, lines }: Source): string[] =>
  lines > MAX_LINES ? [`${path} has ${lines} lines, more than ${MAX_LINES}`] : []

// A whole statement in either case, or a text that begins like one in capitals. "select a role" is neither.
const SQL = [
  /\bselect\b[^.]*\sfrom\s|\binsert\s+into\s|\bupdate\s+[\w."]+\s+set\s|\bdelete\s+from\s+[\w."]+\s*(where|using|returning|;|$)/i,
  /^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|ALTER|DROP|BEGIN|COMMIT|ROLLBACK|LISTEN|NOTIFY|COPY|SET)\s/
]

export function statementFaults ({ path, strings }: Source): string[] {
  if (room(path) === 'sql') return []
  return strings.filter(text => SQL.some(pattern => pattern.test(text))).map(text => `${path} has SQL: ${text}`)
}

// The classes of PostgreSQL's appendix A, followed by three characters, or alternatives of classes in a pattern.
const SQLSTATE = /^(0[0-9A-Z]|2[0-9A-F]|3[4-9BDF]|4[0-24]|5[3-8]|72|F0|HV|P0|XX)[0-9A-Z]{3}$/
const SQLSTATE_CLASSES = /^\/\^\(?\d[\dA-Z](\||\)|\/)/

export function sqlStateFaults ({ path, strings, patterns }: Source): string[] {
  if (path === 'sql/errors.ts') return []
  const codes = strings.filter(text => SQLSTATE.test(text))
  const classes = patterns.filter(text => SQLSTATE_CLASSES.test(text))
  return [...codes, ...classes].map(code => `${path} has the SQLSTATE ${code}`)
}

export const environmentFaults = ({ path, readsEnvironment }: Source): string[] =>
  readsEnvironment && path !== 'src/server.ts' ? [`${path} reads the environment`] : []

/** `Object(value)` would turn a value of any type into `any`. */
export const objectFaults = ({ path, objectCalls }: Source): string[] =>
  objectCalls > 0 ? [`${path} calls Object(…); use src/unknown.ts or a schema`] : []

/** Code that the coverage ignores says why, on the same line. */
export const coverageFaults = ({ path, text }: Source): string[] =>
  text.split('\n').filter(line => /c8 ignore (?!stop)/.test(line) && !/c8 ignore (next|start)( \d+)?: \S+ \S+/.test(line))
    .map(line => `${path} gives no reason: ${line.trim()}`)

// Words of earlier versions, and the words of today that contain them.
const OLD_WORDS = /figures|authority|playground|boards?\b|stranger|house/i
const ALLOWED_WORDS = /gatehouse|housekeeping|toAuthority|dashboards?/gi

export const wordFaults = (path: string, text: string): string[] => text.split('\n').flatMap((line, index) => {
  const word = OLD_WORDS.exec(line.replace(ALLOWED_WORDS, ''))?.[0]
  return word === undefined ? [] : [`${path}:${index + 1} has the word "${word}"`]
})

const nameOf = (path: string): string => path.replace(/^.*\//, '').replace(/\.ts$/, '')

const META: unique symbol = Symbol.for('plugin-meta')
const SKIP_OVERRIDE: unique symbol = Symbol.for('skip-override')

/** The faults of a module of plugins/: its default export is made by fastify-plugin and named like its file. */
export function pluginFaults (path: string, module: { default?: unknown }): string[] {
  const { default: plugin } = module
  if (typeof plugin !== 'function') return [`${path} has no plugin as its default export`]
  const meta = META in plugin && isRecord(plugin[META]) ? plugin[META] : {}
  const faults = []
  if (!(SKIP_OVERRIDE in plugin && plugin[SKIP_OVERRIDE] === true)) faults.push('is not wrapped by fastify-plugin')
  if (meta['name'] !== nameOf(path)) faults.push(`is named ${String(meta['name'])}`)
  if (meta['fastify'] !== '5.x') faults.push('does not say that it is for Fastify 5.x')
  return faults.map(fault => `${path} ${fault}`)
}

const decoratorsOf = ({ declared }: Source): string[] =>
  [...declared.FastifyInstance, ...declared.FastifyRequest, ...declared.FastifyReply]

/** Every decorator that a plugin uses comes from one of its dependencies, and every dependency has a purpose. */
export function dependencyFaults (plugins: readonly Source[]): string[] {
  const byName = new Map(plugins.map(plugin => [nameOf(plugin.path), plugin]))
  // The instance and requests can have decorators of the same name.
  const ownersOf = (declares: (plugin: Source) => string[]) => new Map(plugins.flatMap(plugin =>
    declares(plugin).map(name => [name, nameOf(plugin.path)] as const)))
  const ofInstance = ownersOf(({ declared }) => declared.FastifyInstance)
  const ofRequest = ownersOf(({ declared }) => [...declared.FastifyRequest, ...declared.FastifyReply])

  function reach (plugin: Source, reached = new Set<string>()): Set<string> {
    for (const name of plugin.dependencies.names) {
      const dependency = byName.get(name)
      if (!dependency || reached.has(name)) continue
      reached.add(name)
      reach(dependency, reached)
    }
    return reached
  }

  return plugins.flatMap(plugin => {
    const { path, dependencies: { names, comment } } = plugin
    const used = [
      ...[...new Set(plugin.instanceProperties)].map(name => ({ name, owner: ofInstance.get(name) })),
      ...[...new Set(plugin.requestProperties)].map(name => ({ name, owner: ofRequest.get(name) }))
    ].filter(({ owner }) => owner !== undefined && owner !== nameOf(path))
    const reached = reach(plugin)
    const usedPlugins = used.map(({ owner }) => owner)
    return [
      ...names.filter(name => !byName.has(name)).map(name => `${path} depends on ${name}, which is not a plugin`),
      ...used.filter(({ owner = '' }) => !reached.has(owner))
        .map(({ name, owner }) => `${path} uses ${name} without depending on ${owner}`),
      ...names.filter(name => !usedPlugins.includes(name) && !new RegExp(`\\b${name}\\b`).test(comment))
        .map(name => `${path} depends on ${name} without using it or saying why`)
    ]
  })
}

// src/verify/ has a plugin too, for other servers.
const mayDeclare = (path: string): boolean => room(path) === 'plugins' || path.startsWith('src/verify/')

/**
 * `declare module 'fastify'` is in the plugin that decorates or, for `config` of routes, that reads the property.
 * @param app src/app.ts, which decorates before the plugins load; the plugin that reads such a decorator declares it
 */
export function declarationFaults (sources: readonly Source[], app: Source): string[] {
  return sources.flatMap(source => {
    const decorators = decoratorsOf(source)
    const config = source.declared.FastifyContextConfig
    const isDecorated = (name: string) => source.decorated.includes(name) ||
      (app.decorated.includes(name) && source.instanceProperties.includes(name))
    return [
      ...mayDeclare(source.path) ? [] : [...decorators, ...config].map(name => `declares ${name} outside plugins/`),
      ...decorators.filter(name => !isDecorated(name)).map(name => `declares ${name}, which it does not decorate`),
      ...config.filter(name => !source.properties.includes(name))
        .map(name => `declares config.${name}, which it does not read`),
      ...source.decorated.filter(name => source.path !== app.path && !decorators.includes(name))
        .map(name => `decorates ${name}, which it does not declare`)
    ].map(fault => `${source.path} ${fault}`)
  })
}

/** plugins/README.md has one line for each plugin: `- [name](name.ts): …`. */
export function readmeFaults (readme: string, paths: readonly string[]): string[] {
  const listed = Array.from(readme.matchAll(/^- \[([\w-]+)\]\(\1\.ts\): \S/gm), match => String(match[1]))
  const names = paths.map(nameOf)
  return [
    ...names.filter(name => listed.filter(each => each === name).length !== 1)
      .map(name => `plugins/README.md has not exactly one line for ${name}`),
    ...listed.filter(name => !names.includes(name)).map(name => `plugins/README.md lists ${name}, which does not exist`)
  ]
}

/** The response schemas of a route, by status. */
const responsesOf = ({ schema }: RouteOptions): Record<string, unknown> =>
  isRecord(schema?.response) ? schema.response : {}

/** The faults of a file of routes/, given the routes that it registers. */
export function routeFaults (
  source: Source,
  module: { default?: unknown },
  routes: readonly DeclaredRoute[]
): string[] {
  const faults: string[] = []
  if (typeof module.default !== 'function') faults.push('has no plugin as its default export')
  if (routes.length === 0) faults.push('registers no route')
  for (const route of routes) {
    const { method, url, config } = route
    const responses = responsesOf(route)
    const statuses = (config?.errors ?? []).map(code => errorDefinition(code).status)
    const missing = statuses.filter(status => !(status in responses))
    const hasSuccess = Object.keys(responses).some(status => status.startsWith('2'))
    if (!isAccess(config?.access)) faults.push(`declares no access for ${String(method)} ${url}`)
    if (!hasSuccess) faults.push(`has no schema for the success of ${String(method)} ${url}`)
    if (missing.length > 0) faults.push(`has no schema for status ${missing.join(', ')} of ${String(method)} ${url}`)
  }
  const known: string[] = routes.flatMap(route =>
    Object.entries(responsesOf(route)).flatMap(([status, response]) => codesOf(response, status)))
  for (const code of source.thrown) {
    if (!Object.hasOwn(catalogue, code)) faults.push(`throws the unknown error ${code}`)
    else if (!known.includes(code)) faults.push(`throws ${code}, which none of its routes declares in config.errors`)
  }
  return faults.map(fault => `${source.path} ${fault}`)
}

/** The codes that occur only in the catalogue. */
export function unusedCodes (codes: readonly string[], sources: readonly Source[]): string[] {
  const used = new Set(sources.filter(({ path }) => path !== 'src/errors.ts').flatMap(({ strings }) => strings))
  return codes.filter(code => !used.has(code))
}

/** Migrations are numbered 0001, 0002, … without gaps and duplicates: postgrator applies them in that order. */
export function migrationFaults (names: readonly string[]): string[] {
  return [...names].sort().flatMap((name, index) => {
    const expected = String(index + 1).padStart(4, '0')
    const isNumbered = new RegExp(`^${expected}\\.do\\.[a-z0-9-]+\\.sql$`).test(name)
    return isNumbered ? [] : [`${name} should be ${expected}.do.what-it-does.sql`]
  })
}
