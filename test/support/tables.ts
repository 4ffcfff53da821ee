import type { TSchema } from '@sinclair/typebox'
import { settings } from '../../src/config/settings.ts'
import { catalogue } from '../../src/errors.ts'
import type { DeclaredRoute } from './declared-routes.ts'

// The tables of the documents, made from the code they describe.

const row = (...cells: string[]) => `| ${cells.join(' | ')} |`
const table = (head: string[], rows: string[][]) => [row(...head), row(...head.map(() => '---')), ...rows.map(cells => row(...cells))].join('\n')
const code = (text: unknown) => text === '' ? '' : `\`${String(text)}\``

const everySetting = Object.entries<TSchema>(settings.properties)
const shown = (value: unknown): string => Array.isArray(value) ? value.join(',') : String(value)

function defaultOf (schema: TSchema): string {
  const { defaultText, default: initial, development } = schema
  if (defaultText) return String(defaultText)
  if (initial === undefined) return ''
  return playground === undefined ? code(shown(initial)) : `${code(shown(initial))}; playground: ${code(shown(playground))}`
}

export const settingsTable = (): string => table(['setting', 'default', 'what it is'],
  everySetting.map(([name, schema]) => [code(name), defaultOf(schema), `${schema.description} Takes ${String(schema['expected'])}.`]))

export const errorsTable = (): string => table(['code', 'status', 'message'],
  Object.entries(catalogue).map(([name, { status, message }]) => [code(name), String(status), message]))

export const routesTable = (routes: readonly DeclaredRoute[]): string => table(['request', 'who', 'what', 'its own errors'],
  routes.filter(route => route.config && !Object(route.schema).hide).map(({ method, url, config, schema }) => [
    code(`${String(method)} ${url}`), String(config?.access), String(Object(schema).summary), (config?.errors ?? []).map(code).join(' ')
  ]).sort())

/** .env.example: every setting with its default, all of them commented out. */
export const envExample = (): string => [
  '# Settings of gatehouse. Copy this file to .env and uncomment what should differ; the environment wins over it.',
  ...everySetting.map(([name, schema]) => [
    '',
    `# ${schema.description}`,
    `# Takes ${String(schema['expected'])}. Default: ${defaultOf(schema).replaceAll('`', '') || 'none'}.`,
    `# ${name}=${schema['defaultText'] || schema.default === undefined ? '' : shown(schema.default)}`
  ].join('\n')),
  ''
].join('\n')
