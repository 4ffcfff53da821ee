#!/usr/bin/env -S node --enable-source-maps
// First: everything that the others load counts.
import { letYoungGenerationGrow } from './heap.ts'
import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import pino from 'pino'
import { buildApp } from './app.ts'
import { askPassword } from './ask-password.ts'
import { type Config, isPlayground, readSettings } from './config.ts'
import { createAdmin } from './create-admin.ts'
import { runKeys } from './keys-command.ts'
import { logOptions } from './log.ts'
import { publishMetrics, serveMetricsOfWorkers } from './metrics-server.ts'
import { openPlayground, type Playground } from './playground.ts'
import type { Settings } from './settings.ts'
import { CLOSE, RELOAD, Workers } from './workers.ts'

// The process: the only reader of the environment, of the arguments and of signals.

let app: FastifyInstance | undefined
let starting: Promise<FastifyInstance> | undefined
let workers: Workers | undefined
let playground: Promise<Playground> | undefined

/** Before the settings are known there is nothing to close that takes long. */
let patience: Pick<Settings, 'DRAIN_DELAY' | 'SHUTDOWN_GRACE'> = { DRAIN_DELAY: 0, SHUTDOWN_GRACE: 10 }

/** How much longer the primary waits than its workers, in seconds, so that it sees them end. */
const MARGIN = cluster.isPrimary ? 1 : 0

// A load balancer is given time to send its requests elsewhere, those in flight are answered, then the pool is closed, then the playground's PostgreSQL stopped, also when the
// signal comes while that is still starting. A second signal forces; a worker leaves that to the primary.
const skip = cluster.isWorker ? ['SIGINT', 'SIGTERM'] as const : []
const { close } = closeWithGrace({ delay: false, logger: false, skip: ['SIGHUP', ...skip] }, async ({ err }) => {
  // Before there is a service it is the settings or the database: the message says what to do, a stack would hide it.
  if (err) console.error(app ? err : err.message)
  const drain = app && !err ? patience.DRAIN_DELAY : 0
  setTimeout(force, (patience.DRAIN_DELAY + patience.SHUTDOWN_GRACE + MARGIN) * 1000)
  app?.drain()
  await sleep(drain * 1000)
  await app?.close()
  await workers?.close()
  await (await playground?.catch(() => undefined))?.close()
})

function force (): void {
  console.error('Closing took longer than SHUTDOWN_GRACE and was forced.')
  process.exit(1)
}

// A worker is told by the primary, and often by a signal as well: the first counts.
let told = false
const closeOnce = () => {
  if (!told) close()
  told = true
}
for (const signal of skip) process.on(signal, closeOnce)
cluster.worker?.on('message', message => {
  if (message === CLOSE) closeOnce()
  if (message === RELOAD) reload()
})

/** One that is about to start reads its keys anyway; one that is just starting may have read them already. */
function reload (): void {
  starting?.then(({ accessTokens }) => accessTokens.reload(), () => {})
  workers?.reload()
}

// Without keys to read again it ends the service, as it does when a terminal is closed.
let onHangUp = closeOnce
process.on('SIGHUP', () => onHangUp())

async function configure (settings: Settings, share: boolean): Promise<Config> {
  const { DATABASE_URL, JWT_SECRET = settings.REFRESH_SECRET } = settings
  if (DATABASE_URL !== undefined && JWT_SECRET !== undefined) return { ...settings, DATABASE_URL, JWT_SECRET }
  playground = openPlayground(settings.DATA_DIR, { share })
  const opened = await playground
  return { ...settings, ...opened.settings, JWT_SECRET: JWT_SECRET ?? opened.settings.JWT_SECRET }
}

async function serve (settings: Settings): Promise<void> {
  patience = settings
  if (settings.JWT_KEYS !== undefined) onHangUp = reload
  const config = await configure(settings, false)
  const log = config.WORKERS > 1 && cluster.isPrimary ? await startWorkers(config) : await listen(config)
  if (isPlayground(settings)) {
    log.warn(`This is a playground: anybody may sign up as ${config.SIGNUP_ROLES.join(', ')}, and the data is in ` +
      `${config.DATA_DIR}. Set DATABASE_URL and JWT_SECRET to run it as a service.`)
  }
}

async function listen (config: Config): Promise<FastifyBaseLogger> {
  starting = buildApp(config)
  app = await starting
  await app.listen({ host: config.HOST, port: config.PORT })
  letYoungGenerationGrow()
  await publishMetrics(app, config)
  return app.log
}

async function startWorkers (config: Config): Promise<FastifyBaseLogger> {
  const log = pino(logOptions(config))
  workers = new Workers(config, log)
  await workers.start()
  await serveMetricsOfWorkers(config, log)
  return log
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
// Before the settings are judged: they may lack nothing but the keys.
if (command === 'keys') console.log(runKeys(args))
else if (command === 'create-admin') await runCreateAdmin(readSettings(process.env), args)
else if (command === undefined) await serve(readSettings(process.env))
else throw new Error(`There is no command "${command}": leave it out to start the service, or say create-admin or keys.`)
