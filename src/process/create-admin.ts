import { parseArgs } from 'node:util'
import { Value } from '@sinclair/typebox/value'
import { rejectTaken } from '../../sql/sign-up.ts'
import { userByEmail, verifyEmail } from '../../sql/user-emails.ts'
import { buildApp } from '../app.ts'
import { Email, Username } from '../api/fields.ts'
import type { Config } from '../config/read-settings.ts'
import type { Settings } from '../config/settings.ts'
import type { LogStream } from '../telemetry/log-options.ts'
import { commandLog, type Invocation } from './command-line.ts'
import { completeSettings } from './development-mode.ts'

interface Names {
  username: string
  email: string
}

const usage = (invocation: Invocation): string => `Usage: ${invocation('create-admin')} --username NAME --email ADDRESS
The password is asked for, or read from a pipe.`

/**
 * The command `create-admin`. It works beside a running service, also in development mode.
 * @param readPassword asks for the password, after the names were checked
 * @returns the text to print
 * @throws Error with the usage, or with the reason why no admin was created
 */
export async function runCreateAdmin (
  settings: () => Settings,
  args: string[],
  { invocation, readPassword }: { invocation: Invocation, readPassword: () => Promise<string> }
): Promise<string> {
  const { username, email, help } = parseArgs({
    args,
    options: {
      username: { type: 'string' },
      email: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false }
    }
  }).values
  if (help) return usage(invocation)
  if (!username || !email) throw new Error(usage(invocation))
  validateNames({ username, email })
  const { config, close } = await completeSettings(settings(), { share: true })
  try {
    return await createAdmin(config, { username, email }, { readPassword, stream: commandLog() })
  } finally {
    await close()
  }
}

function validateNames ({ username, email }: Names): void {
  if (!Value.Check(Username, username)) throw new Error(`username must be ${Username.description}`)
  if (!Value.Check(Email, email)) throw new Error(`email must be ${Email.description}`)
}

/**
 * Creates an admin through the sign-up route, with the admin role allowed.
 * @param readPassword called after the names were found to be free
 * @param stream destination of log lines
 * @returns the message of the sign-up
 * @throws Error with that message, if the sign-up was rejected
 */
export async function createAdmin (
  config: Config,
  { username, email }: Names,
  { readPassword, stream }: { readPassword: () => Promise<string>, stream: LogStream }
): Promise<string> {
  // Without mail: the service sends it, and whoever runs this command vouches for the address.
  const { MAIL_URL, ...settings } = config
  const app = await buildApp({ ...settings, SIGNUP_ROLES: ['admin'] }, stream)
  try {
    await app.ready()
    await rejectTaken(app.db, username, email)
    const payload = { username, email, password: await readPassword(), roles: ['admin'] }
    const response = await app.inject({ method: 'POST', url: '/api/auth/signup', payload })
    const { message } = response.json<{ message: string }>()
    if (response.statusCode !== 200) throw new Error(message)
    const [user] = await app.db.query(userByEmail(email))
    if (user) await app.db.query(verifyEmail(user.id))
    return message
  } finally {
    await app.close()
  }
}
