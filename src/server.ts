import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { askPassword } from './ask-password.ts'
import { type Config, isPlayground, readSettings } from './config.ts'
import { createAdmin } from './create-admin.ts'
import { openPlayground, type Playground } from './playground.ts'
import type { Settings } from './settings.ts'

// The process: the only reader of the environment, of the arguments and of signals.

let app: FastifyInstance | undefined
let playground: Promise<Playground> | undefined

// Requests in flight are answered, then the pool is closed, then the playground's PostgreSQL stopped, also when the
// signal comes while that is still starting. A second signal forces.
const { close } = closeWithGrace({ delay: 10_000, logger: false }, async ({ err }) => {
  // Before there is a service it is the settings or the database: the message says what to do, a stack would hide it.
  if (err) console.error(app ? err : err.message)
  await app?.close()
  await (await playground?.catch(() => undefined))?.close()
})

async function configure (settings: Settings, share: boolean): Promise<Config> {
  const { DATABASE_URL, JWT_SECRET } = settings
  if (DATABASE_URL !== undefined && JWT_SECRET !== undefined) return { ...settings, DATABASE_URL, JWT_SECRET }
  playground = openPlayground(settings.DATA_DIR, { share })
  const opened = await playground
  return { ...settings, ...opened.settings, JWT_SECRET: JWT_SECRET ?? opened.settings.JWT_SECRET }
}

async function serve (settings: Settings): Promise<void> {
  const config = await configure(settings, false)
  app = await buildApp(config)
  await app.listen({ host: config.HOST, port: config.PORT })
  if (isPlayground(settings)) {
    app.log.warn(`This is a playground: anybody may sign up as ${config.SIGNUP_ROLES.join(', ')}, and the data is in ` +
      `${config.DATA_DIR}. Set DATABASE_URL and JWT_SECRET to run it as a service.`)
  }
}

async function runCreateAdmin (settings: Settings, args: string[]): Promise<void> {
  const { username, email } = parseArgs({
    args,
    options: { username: { type: 'string' }, email: { type: 'string' } }
  }).values
  if (!username || !email) throw new Error('Say who: npm run create-admin -- --username NAME --email ADDRESS')
  const password = await askPassword(process.stdin, process.stderr)
  const message = await createAdmin(await configure(settings, true), { username, email, password })
  console.log(message)
  close()
}

try {
  process.loadEnvFile()
} catch (error) {
  // No .env file: the environment alone.
  if (Object(error).code !== 'ENOENT') throw error
}
const [command, ...args] = process.argv.slice(2)
const settings = readSettings(process.env)
if (command === undefined) await serve(settings)
else if (command === 'create-admin') await runCreateAdmin(settings, args)
else throw new Error(`There is no command "${command}": leave it out to start the service, or say create-admin.`)
