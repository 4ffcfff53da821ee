#!/usr/bin/env -S node --enable-source-maps
import cluster from 'node:cluster'
import closeWithGrace from 'close-with-grace'
import pino from 'pino'
import { misspeltSettings } from './config/misspelt.ts'
import { readSettings } from './config/read-settings.ts'
import { invocationOf } from './process/command-line.ts'
import { runCommand } from './process/commands.ts'
import { Service, StartError } from './process/service.ts'
import { prettyStream, printAddresses } from './process/terminal.ts'
import { CLOSE, RELOAD } from './process/workers.ts'
import { errorCode, errorMessage } from './unknown.ts'

// The process entry: only this file reads the environment, the arguments and signals.

const fail = (error: unknown): void => { console.error(errorMessage(error)) }

/** close-with-grace handles these by default. After a native fault no JavaScript runs, so the process would spin. */
const NATIVE_FAULTS = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

/** Reads the settings and handles the signals. @returns a function that starts the service */
async function prepare (): Promise<() => Promise<void>> {
  const settings = readSettings(process.env)
  const service = new Service(settings, process.stdout.isTTY ? await prettyStream() : pino.destination(1))
  // SIGHUP reloads keys. A worker also leaves the signals to end it to the primary, which sends it a message.
  const own = cluster.isWorker ? ['SIGHUP', 'SIGINT', 'SIGTERM'] as const : ['SIGHUP'] as const
  // A primary waits one second longer than its workers, so that it sees them exit.
  const delay = (settings.DRAIN_DELAY + settings.SHUTDOWN_GRACE + (cluster.isPrimary ? 1 : 0)) * 1000
  const onTimeout = () => { fail('The shutdown took longer than SHUTDOWN_GRACE and was forced.') }
  const options = { delay, logger: { error: fail }, skip: [...NATIVE_FAULTS, ...own], onTimeout }
  const grace = closeWithGrace(options, async ({ err }) => {
    // Errors of the start are about the settings or the database. Their messages say what to do; a stack would hide it.
    if (err) console.error(service.hasApp && !(err instanceof StartError) ? err : errorMessage(err))
    await service.close({ drain: err === undefined })
  })
  let isClosing = false
  const close = () => {
    if (!isClosing) grace.close()
    isClosing = true
  }
  const reload = () => { service.reload() }
  process.on('SIGHUP', settings.JWT_KEYS_FILE === undefined ? close : reload)
  if (cluster.isWorker) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, close)
  cluster.worker?.on('message', message => {
    if (message === CLOSE) close()
    if (message === RELOAD) reload()
  })
  return async () => {
    const { log, port } = await service.start()
    if (cluster.isWorker) return
    for (const warning of misspeltSettings(Object.keys(process.env))) log.warn(warning)
    if (process.stdout.isTTY) printAddresses({ ...settings, PORT: port })
  }
}

function loadEnvFile (): void {
  try {
    process.loadEnvFile()
  } catch (error) {
    // Without a .env file, the settings come from the environment alone.
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

let start: (() => Promise<void>) | undefined
try {
  loadEnvFile()
  const [, script = '', command, ...args] = process.argv
  const invocation = invocationOf(process.env, script)
  if (command === undefined) start = await prepare()
  else console.log(await runCommand(command, args, { env: process.env, invocation }))
} catch (error) {
  fail(error)
  process.exitCode = 1
}
// Not caught: close-with-grace handles an error of the start.
await start?.()
