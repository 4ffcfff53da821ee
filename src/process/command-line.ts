import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import pino from 'pino'
import type { LogStream } from '../telemetry/log-options.ts'
import { property } from '../unknown.ts'

/** How a command was typed, so that usage texts can repeat it: `npm run keys --`, `npx gatehouse keys`. */
export type Invocation = (command: string) => string

/**
 * @param env npm sets npm_command and npm_lifecycle_event
 * @param script the path that node was started with
 */
export function invocationOf (env: Record<string, string | undefined>, script: string): Invocation {
  const { npm_command: npmCommand, npm_lifecycle_event: npmScript = '' } = env
  if (npmCommand === 'exec') return command => `npx gatehouse ${command}`.trim()
  if (['start', 'create-admin', 'export', 'import', 'keys', 'keys:new', 'migrate', 'sign-out-everybody'].includes(npmScript)) {
    return command => command === '' ? 'npm start --' : `npm run ${command} --`
  }
  const typed = basename(script) === 'gatehouse' ? 'gatehouse' : `node ${relative(process.cwd(), script)}`
  return command => `${typed} ${command}`.trim()
}

/**
 * Where the service logs while a command runs it: the standard output is for the command's result. At a terminal nobody
 * collects lines, and the result says what happened.
 */
export const commandLog = (): LogStream =>
  process.stderr.isTTY ? { write () {} } : pino.destination({ fd: 2, sync: true })

/** The text of --help. */
export const usage = (invocation: Invocation): string => `Usage:
  ${invocation('')}   start the service
  ${invocation('create-admin')} --username NAME --email ADDRESS   create an admin
  ${invocation('import')} --from SOURCE   import users from another service
  ${invocation('export')}   write all users as NDJSON
  ${invocation('keys')} new|promote|remove|list   maintain the file of JWT_KEYS_FILE, generate a key for ENCRYPTION_KEYS
  ${invocation('migrate')}   apply pending migrations
  ${invocation('sign-out-everybody')}   end every session
  ${invocation('')} --help | --version

Settings are environment variables, or lines of a file .env in the working directory. Without DATABASE_URL the service
runs in development mode, with an embedded PostgreSQL. All settings: docs/configuration.md.`

/** The version in package.json, which is in this folder's nearest parent that has one. */
export function version (folder = import.meta.dirname): string {
  const file = join(folder, 'package.json')
  if (existsSync(file)) return String(property(JSON.parse(readFileSync(file, 'utf8')), 'version'))
  return version(dirname(folder))
}
