import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

// Reads the service's source for the architecture test. It parses the files instead of searching their text, because
// comments may mention SQL, process.env and error codes.

const root = join(import.meta.dirname, '..', '..')

/** The members of `declare module 'fastify'`, by interface. */
export interface Declared {
  FastifyInstance: string[]
  FastifyRequest: string[]
  FastifyReply: string[]
  FastifyContextConfig: string[]
}

export interface Source {
  /** from the repository's root, with `/` */
  path: string
  text: string
  lines: number
  /** the imports: a file by its path from the root, a package by its name */
  imports: string[]
  /** the texts, templates in parts */
  strings: string[]
  /** the regular expressions */
  patterns: string[]
  readsEnvironment: boolean
  /** the codes in `new ApiError('CODE')` */
  thrown: string[]
  /** the number of calls such as `Object(value)` */
  objectCalls: number
  declared: Declared
  /** the names in `fastify.decorate('name')`, `decorateRequest` and `decorateReply` */
  decorated: string[]
  /** properties of `fastify`, by access or destructuring */
  instanceProperties: string[]
  /** properties of `request` */
  requestProperties: string[]
  /** properties of anything */
  properties: string[]
  /** the `dependencies` of a plugin, and the comments in the lines before them */
  dependencies: { names: string[], comment: string }
}

/** Every file of the given folders whose name ends so, from the repository's root. */
export function filesUnder (folders: readonly string[], ending = '.ts'): string[] {
  return folders.flatMap(folder => readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter(entry => entry.isFile() && entry.name.endsWith(ending))
    .map(entry => join(entry.parentPath, entry.name).slice(root.length + 1).replaceAll('\\', '/'))
    .sort())
}

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8')

export const readSource = (path: string): Source => parseSource(path, readText(path))

/** @param path of the text, which its relative imports are resolved against */
export function parseSource (path: string, text: string): Source {
  const found: Source = {
    path,
    text,
    lines: text.replace(/\n$/, '').split('\n').length,
    imports: [],
    strings: [],
    patterns: [],
    readsEnvironment: false,
    thrown: [],
    objectCalls: 0,
    declared: { FastifyInstance: [], FastifyRequest: [], FastifyReply: [], FastifyContextConfig: [] },
    decorated: [],
    instanceProperties: [],
    requestProperties: [],
    properties: [],
    dependencies: { names: [], comment: '' }
  }
  const visit = (node: ts.Node): void => {
    const specifier = importOf(node)
    if (specifier !== undefined) found.imports.push(resolveImport(path, specifier))
    if (ts.isStringLiteralLike(node) || isTemplatePart(node)) found.strings.push(node.text)
    if (ts.isRegularExpressionLiteral(node)) found.patterns.push(node.text)
    if (namesEnvironment(node)) found.readsEnvironment = true
    if (ts.isNewExpression(node) && node.expression.getText() === 'ApiError') {
      found.thrown.push(...texts(node.arguments?.[0]))
    }
    if (ts.isModuleDeclaration(node) && node.name.text === 'fastify') addDeclared(node, found.declared)
    if (ts.isCallExpression(node)) addCall(node, found)
    addProperties(node, found)
    if (ts.isPropertyAssignment(node) && node.name.getText() === 'dependencies') {
      found.dependencies = { names: texts(node.initializer), comment: commentsBefore(text, node.getStart()) }
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true))
  return found
}

/** The string literals in a node. */
function texts (node: ts.Node | undefined): string[] {
  if (!node) return []
  if (ts.isStringLiteralLike(node)) return [node.text]
  return ts.isArrayLiteralExpression(node) ? node.elements.flatMap(texts) : []
}

function importOf (node: ts.Node): string | undefined {
  const isStatic = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
  const isDynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
  const specifier = isStatic ? node.moduleSpecifier : isDynamic ? node.arguments[0] : undefined
  return specifier && ts.isStringLiteralLike(specifier) ? specifier.text : undefined
}

const resolveImport = (from: string, specifier: string): string =>
  specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier

const isTemplatePart = (node: ts.Node): node is ts.TemplateHead | ts.TemplateMiddle | ts.TemplateTail =>
  ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)

function namesEnvironment (node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    return /^(globalThis\.)?process(\??\.env|(\?\.)?\[['"]env['"]\])$/.test(node.getText())
  }
  return ts.isImportSpecifier(node) && (node.propertyName ?? node.name).text === 'env'
}

function addDeclared (module: ts.ModuleDeclaration, declared: Declared): void {
  const statements = module.body && ts.isModuleBlock(module.body) ? module.body.statements : []
  for (const statement of statements) {
    if (!ts.isInterfaceDeclaration(statement)) continue
    const names = statement.members.map(member => member.name?.getText() ?? '')
    const lists: Record<string, string[]> = { ...declared }
    lists[statement.name.text]?.push(...names)
  }
}

function addCall (call: ts.CallExpression, found: Source): void {
  const callee = call.expression
  if (ts.isIdentifier(callee) && callee.text === 'Object') found.objectCalls++
  if (!ts.isPropertyAccessExpression(callee)) return
  if (/^decorate(Request|Reply)?$/.test(callee.name.text)) found.decorated.push(...texts(call.arguments[0]))
}

/** Adds what `a.b` or `const { b } = a` reads. */
function addProperties (node: ts.Node, found: Source): void {
  const add = (object: string, name: string) => {
    found.properties.push(name)
    if (object === 'fastify') found.instanceProperties.push(name)
    if (object === 'request') found.requestProperties.push(name)
  }
  if (ts.isPropertyAccessExpression(node)) add(node.expression.getText(), node.name.text)
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name)) {
    const object = node.initializer?.getText() ?? ''
    for (const { propertyName, name } of node.name.elements) add(object, (propertyName ?? name).getText())
  }
}

/** The comments directly above the line of a position. */
function commentsBefore (text: string, position: number): string {
  const before = text.slice(0, position).split('\n').slice(0, -1)
  const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line)
  const start = before.findLastIndex(line => !isComment(line))
  return before.slice(start + 1).join(' ')
}
