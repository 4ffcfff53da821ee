import { readSettings } from '../config/read-settings.ts'
import { type Invocation, usage, version } from './command-line.ts'
import { runCreateAdmin } from './create-admin.ts'
import { runMigrate, runSignOutEverybody } from './database-commands.ts'
import { runExport } from './export-command.ts'
import { runImport } from './import-command.ts'
import { runKeys } from './keys-command.ts'
import { promptPassword } from './password-prompt.ts'

interface Context {
  invocation: Invocation
  /** the settings as text; not read by the commands that need none */
  env: Record<string, string | undefined>
  /** makes the process exit with code 1, although there is a result to print */
  fail: () => void
}

/**
 * Runs a command other than the service itself.
 * @returns the text to print; empty if there is nothing more to print
 * @throws Error that says what is wrong, and how the command is used
 */
export async function runCommand (command: string, args: string[], context: Context): Promise<string> {
  const { invocation, env, fail } = context
  const settings = () => readSettings(env)
  if (command === '--version' || command === '-v') return version()
  if (command === '--help' || command === '-h') return usage(invocation)
  if (command === 'keys') return runKeys(args, invocation)
  if (command === 'migrate' && args.length === 0) return await runMigrate(env['DATABASE_URL'])
  if (command === 'sign-out-everybody' && args.length === 0) return await runSignOutEverybody(settings())
  if (command === 'create-admin') {
    const readPassword = async () => await promptPassword(process.stdin, process.stderr)
    return await runCreateAdmin(settings, args, { invocation, readPassword })
  }
  if (command === 'import') {
    return await runImport(settings, args, { invocation, stdin: process.stdin, stderr: process.stderr, fail })
  }
  if (command === 'export') {
    return await runExport(settings, args, { invocation, stdout: process.stdout, stderr: process.stderr })
  }
  throw new Error(`Unknown command "${command}".\n${usage(invocation)}`)
}
