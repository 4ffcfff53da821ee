import { readSettings } from '../config/read-settings.ts'
import { type Invocation, usage, version } from './command-line.ts'
import { runCreateAdmin } from './create-admin.ts'
import { runKeys } from './keys-command.ts'
import { promptPassword } from './password-prompt.ts'

/**
 * Runs a command to its end.
 * @param env the environment; only create-admin reads it, since the settings may still lack the keys
 * @returns the text to print
 * @throws Error whose message says what to do
 */
export async function runCommand (
  command: string,
  args: string[],
  { env, invocation }: { env: Record<string, string | undefined>, invocation: Invocation }
): Promise<string> {
  if (command === 'create-admin') {
    const readPassword = async () => await promptPassword(process.stdin, process.stderr)
    return await runCreateAdmin(readSettings(env), args, { invocation, readPassword })
  }
  if (command === 'keys') return runKeys(args, invocation)
  if (command === '--version' || command === '-v') return version()
  if (command === '--help' || command === '-h') return usage(invocation)
  throw new Error(`Unknown command "${command}".\n${usage(invocation)}`)
}
