import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript'

// Reads the service's source for the architecture test. It parses the files instead of searching their text, because
// comments may mention SQL, process.env and error codes.

const root = join(import.meta.dirname, '..', '..')

export interface Source {
  /** from the repository's root, with `/` */
  path: string
  lines: number
  /** what it imports: a file by its path from the root, a package by its name */
  imports: string[]
  /** the texts in it, templates piece by piece */
  strings: string[]
  readsEnvironment: boolean
  /** the codes in `new ApiError('CODE')` */
  thrown: string[]
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

/** @param path where the text stands, or would stand: relative imports are resolved against it */
export function parseSource (path: string, text: string): Source {
  const found: Source = {
    path,
    lines: text.replace(/\n$/, '').split('\n').length,
    imports: [],
    strings: [],
    readsEnvironment: false,
    thrown: []
  }
  const visit = (node: ts.Node): void => {
    const specifier = importOf(node)
    if (specifier !== undefined) found.imports.push(resolveImport(path, specifier))
    if (ts.isStringLiteralLike(node) || isTemplatePiece(node)) found.strings.push(node.text)
    if (namesEnvironment(node)) found.readsEnvironment = true
    const [code] = ts.isNewExpression(node) && node.expression.getText() === 'ApiError' ? node.arguments ?? [] : []
    if (code && ts.isStringLiteralLike(code)) found.thrown.push(code.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true))
  return found
}

function importOf (node: ts.Node): string | undefined {
  const isStatic = ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
  const isDynamic = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
  const specifier = isStatic ? node.moduleSpecifier : isDynamic ? node.arguments[0] : undefined
  return specifier && ts.isStringLiteralLike(specifier) ? specifier.text : undefined
}

const resolveImport = (from: string, specifier: string): string =>
  specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier

const isTemplatePiece = (node: ts.Node): node is ts.TemplateHead | ts.TemplateMiddle | ts.TemplateTail =>
  ts.isTemplateHead(node) || ts.isTemplateMiddle(node) || ts.isTemplateTail(node)

function namesEnvironment (node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node)) {
    return /^(globalThis\.)?process(\??\.env|(\?\.)?\[['"]env['"]\])$/.test(node.getText())
  }
  return ts.isImportSpecifier(node) && (node.propertyName ?? node.name).text === 'env'
}
