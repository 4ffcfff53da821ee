import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Registry } from 'prom-client'
import { type SettingSchema, settingSchemas } from '../../src/config/read-settings.ts'
import { errorCodes, errorDefinition, responseCode } from '../../src/errors.ts'
import { property } from '../../src/unknown.ts'
import type { DeclaredRoute } from './declared-routes.ts'
import { filesUnder, readText } from './source.ts'

// The tables of the documentation, generated from the code that they describe.

const row = (...cells: string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`

const table = (head: string[], rows: string[][]) =>
  [row(...head), row(...head.map(() => '---')), ...rows.map(cells => row(...cells))].join('\n')

const code = (text: unknown) => `\`${String(text)}\``

const display = (value: unknown): string => Array.isArray(value) ? value.join(',') : String(value)

/** The unit of a duration or a size, such as `seconds`; empty for other settings. */
export const unitOf = ({ expected }: SettingSchema): string => /^a whole number of (\w+) /.exec(expected)?.[1] ?? ''

function defaultOf (schema: SettingSchema): string {
  const { defaultText, development } = schema
  const initial: unknown = schema.default
  if (defaultText !== undefined) return defaultText
  const value = initial === undefined || display(initial) === '' ? 'none' : `${code(display(initial))} ${unitOf(schema)}`.trim()
  return development === undefined ? value : `${value}; in development mode ${code(display(development))}`
}

export const settingsTable = (): string => table(['setting', 'default', 'value', 'description'],
  [...settingSchemas].map(([name, schema]) => [code(name), defaultOf(schema), schema.expected, schema.description]))

export const errorsTable = (): string => table(['code', 'status', 'message'],
  errorCodes.map(name => {
    const { status, message } = errorDefinition(name)
    return [code(responseCode(name)), String(status), message.replace('%s', '…')]
  }))

export const routesTable = (routes: readonly DeclaredRoute[]): string => table(
  ['request', 'access', 'description', 'its own errors'],
  routes.filter(route => route.config && property(route.schema, 'hide') !== true)
    .sort((a, b) => a.url.localeCompare(b.url) || String(a.method).localeCompare(String(b.method)))
    .map(({ method, url, config, schema }) => [
      code(`${String(method)} ${url}`),
      `${String(config?.access)}${config?.freshness ? ', fresh' : ''}${
        config?.apiKeys === 'only' ? ', API keys only' : config?.apiKeys ? ', also API keys' : ''}`,
      String(property(schema, 'summary')),
      [...new Set((config?.errors ?? []).map(responseCode))].map(code).join(' ')
    ]))

export const metricsTable = (registry: Registry): string => table(['metric', 'type', 'description'],
  registry.getMetricsAsArray().map(metric => [code(metric.name), String(property(metric, 'type')), metric.help]))

/** .env.example: every setting with its default, all of them commented out. */
export const envExample = (): string => [
  '# Settings of gatehouse. Copy this file to .env and uncomment the settings to change. Environment variables take',
  '# precedence over the file.',
  ...[...settingSchemas].map(([name, schema]) => [
    '',
    `# ${schema.description}`,
    `# Value: ${schema.expected}. Default: ${defaultOf(schema).replaceAll('`', '')}.`,
    `# ${name}=${schema.defaultText || schema.default === undefined ? '' : display(schema.default)}`
  ].join('\n')),
  ''
].join('\n')

/** The names of the security events with the level at which each is logged, from the source of their type. */
export function securityEvents (): Array<[string, string]> {
  const source = readText('src/telemetry/security-events.ts')
  const names = (text = '') => Array.from(text.matchAll(/'([a-z_]+)'/g), match => String(match[1]))
  const events = names(/export type SecurityEvent =([^]*?)\n\n/.exec(source)?.[1])
  const routine = names(/const ROUTINE[^=]*=([^]*?)\]/.exec(source)?.[1])
  const frequent = names(/const FREQUENT[^=]*=([^]*?)\]/.exec(source)?.[1])
  const levelOf = (event: string) => routine.includes(event) ? 'info' : frequent.includes(event) ? 'debug' : 'warn'
  return events.map(event => [event, levelOf(event)])
}

/** The names of all statements in sql/. */
export async function statementNames (): Promise<string[]> {
  const modules = await Promise.all(filesUnder(['sql']).map(async path =>
    await import(pathToFileURL(join(import.meta.dirname, '..', '..', path)).href) as Record<string, unknown>))
  return modules.flatMap(module => Object.values(module)).flatMap(exported => {
    const definition = typeof exported === 'function' && 'definition' in exported ? exported.definition : undefined
    const name = property(definition, 'name')
    return typeof name === 'string' ? [name] : []
  })
}

/** The cells of the rows of every table below a heading. */
export function rowsUnder (text: string, heading: string): string[][] {
  const [, rest = ''] = text.split(`\n${heading}\n`)
  const level = heading.split(' ')[0]?.length ?? 1
  const section = rest.split(new RegExp(`\\n#{1,${level}} `))[0] ?? ''
  return section.split('\n').filter(line => line.startsWith('| ')).slice(2)
    .map(line => line.split(/(?<!\\)\|/).slice(1, -1).map(cell => cell.trim()))
}
