#!/usr/bin/env -S node --enable-source-maps
import cluster from 'node:cluster'
import closeWithGrace from 'close-with-grace'
import pino from 'pino'
import { misspeltSettings } from './config/misspelt.ts'
import { readSettings } from './config/read-settings.ts'
import type { Settings } from './config/settings.ts'
import { invocationOf } from './process/command-line.ts'
import { runCommand } from './process/commands.ts'
import { Service } from './process/service.ts'
import { prettyStream, printAddresses } from './process/terminal.ts'
import { CLOSE, RELOAD } from './process/workers.ts'
import { errorCode, errorMessage } from './unknown.ts'

// The process entry: only this file reads the environment, the arguments and signals.

const invocation = invocationOf(process.env, process.argv[1] ?? '')

let isServing = false

/** close-with-grace handles these by default. After a native fault no JavaScript runs, so the process would spin. */
const NATIVE_FAULTS = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

async function serve (settings: Settings): Promise<void> {
  const service = new Service(settings, process.stdout.isTTY ? await prettyStream() : pino.destination(1))
  // SIGHUP reloads keys. A worker also leaves the signals to end it to the primary, which sends it a message.
  const own = cluster.isWorker ? ['SIGHUP', 'SIGINT', 'SIGTERM'] as const : ['SIGHUP'] as const
  // A primary waits one second longer than its workers, so that it sees them exit.
  const delay = (settings.DRAIN_DELAY + settings.SHUTDOWN_GRACE + (cluster.isPrimary ? 1 : 0)) * 1000
  const onTimeout = () => { console.error('The shutdown took longer than SHUTDOWN_GRACE and was forced.') }
  const skip = [...NATIVE_FAULTS, ...own]
  const grace = closeWithGrace({ delay, logger: false, skip, onTimeout }, async ({ err }) => {
    // The message of an error of the start says what to do, which a stack would hide.
    if (err) console.error(service.isListening ? err : errorMessage(err))
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

  isServing = true
  const log = await service.start()
  if (cluster.isWorker) return
  for (const warning of misspeltSettings(Object.keys(process.env))) log.warn(warning)
  if (process.stdout.isTTY) printAddresses(settings)
}

async function run ([command, ...args]: string[]): Promise<void> {
  if (command === undefined) {
    await serve(readSettings(process.env))
  } else {
    console.log(await runCommand(command, args, { invocation, settings: () => readSettings(process.env) }))
  }
}

try {
  process.loadEnvFile()
} catch (error) {
  // Without a .env file, the settings come from the environment alone.
  if (errorCode(error) !== 'ENOENT') throw error
}
await run(process.argv.slice(2)).catch((error: unknown) => {
  // Once the service is starting, close-with-grace handles its errors.
  if (isServing) throw error
  console.error(errorMessage(error))
  process.exitCode = 1
})
