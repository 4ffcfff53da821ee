import type { Settings } from '../config/settings.ts'
import { type Invocation, usage, version } from './command-line.ts'
import { runCreateAdmin } from './create-admin.ts'
import { runKeys } from './keys-command.ts'
import { promptPassword } from './password-prompt.ts'

interface Context {
  invocation: Invocation
  /** reads the settings; not called by the commands that need none */
  settings: () => Settings
}

/**
 * Runs a command other than the service itself.
 * @returns the text to print
 * @throws Error that says what is wrong, and how the command is used
 */
export async function runCommand (command: string, args: string[], { invocation, settings }: Context): Promise<string> {
  if (command === '--version' || command === '-v') return version()
  if (command === '--help' || command === '-h') return usage(invocation)
  if (command === 'keys') return runKeys(args, invocation)
  if (command === 'create-admin') {
    const readPassword = async () => await promptPassword(process.stdin, process.stderr)
    return await runCreateAdmin(settings, args, { invocation, readPassword })
  }
  throw new Error(`Unknown command "${command}".\n${usage(invocation)}`)
}
