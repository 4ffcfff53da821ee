#!/usr/bin/env -S node --enable-source-maps
import cluster from 'node:cluster'
import closeWithGrace from 'close-with-grace'
import { misspeltSettings } from './config/misspelt.ts'
import { readSettings } from './config/read-settings.ts'
import { riskySettings } from './config/risky-settings.ts'
import { invocationOf } from './process/command-line.ts'
import { runCommand } from './process/commands.ts'
import { Service } from './process/service.ts'
import { prettyStream, printAddresses, watchTerminal } from './process/terminal.ts'
import { CLOSE, RELOAD } from './process/workers.ts'
import { createLogStream } from './telemetry/log-stream.ts'
import { errorCode, errorMessage } from './unknown.ts'

// The process entry: only this file reads the environment, the arguments and signals.

/** close-with-grace handles these by default. After a native fault no JavaScript runs, so the process would spin. */
const NATIVE_FAULTS = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

const printError = (error: unknown): void => { console.error(errorMessage(error)) }

/** Reads the settings and handles signals. @returns a function that starts the service */
async function prepare (): Promise<() => Promise<void>> {
  const settings = readSettings(process.env)
  const service = new Service(settings, process.stdout.isTTY ? await prettyStream() : createLogStream())
  // Handled below. In a worker a second SIGINT or SIGTERM must not force the exit: the process group and the primary
  // both close it.
  const own = cluster.isWorker ? ['SIGHUP', 'SIGINT', 'SIGTERM'] as const : ['SIGHUP'] as const
  // A primary waits one second longer than its workers, so that it sees them exit.
  const delay = (settings.DRAIN_DELAY + settings.SHUTDOWN_GRACE + (cluster.isPrimary ? 1 : 0)) * 1000
  const onTimeout = () => { printError('The shutdown took longer than SHUTDOWN_GRACE and was forced.') }
  const options = { delay, logger: { error: printError }, skip: [...NATIVE_FAULTS, ...own], onTimeout }
  const grace = closeWithGrace(options, async ({ err, signal }) => {
    // An error of the start says what to do, so it is printed without a stack.
    if (err) console.error(service.hasStarted ? err : errorMessage(err))
    await service.close({ drain: err === undefined, signal })
  })
  let isClosing = false
  const close = () => {
    if (!isClosing) grace.close()
    isClosing = true
  }
  const reload = () => { service.reload() }
  // A terminal that is closed sends SIGHUP as well. The service would outlive it unnoticed.
  const isTerminalClosed = watchTerminal()
  process.on('SIGHUP', () => {
    if (settings.JWT_KEYS_FILE === undefined || isTerminalClosed()) close()
    else reload()
  })
  if (cluster.isWorker) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, close)
  cluster.worker?.on('message', message => {
    if (message === CLOSE) close()
    if (message === RELOAD) reload()
  })
  return async () => {
    const { log, port } = await service.start()
    if (cluster.isWorker) return
    for (const warning of [...misspeltSettings(Object.keys(process.env)), ...riskySettings(settings)]) log.warn(warning)
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
  if (command === undefined) start = await prepare()
  else {
    const fail = () => { process.exitCode = 1 }
    const invocation = invocationOf(process.env, script)
    const text = await runCommand(command, args, { invocation, env: process.env, fail })
    if (text !== '') console.log(text)
  }
} catch (error) {
  printError(error)
  process.exitCode = 1
}
// Not caught: close-with-grace handles an error of the start.
await start?.()
