import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import { settings } from '../../src/config/settings.ts'
import type { LogLine } from './app.ts'
import { until } from './wait.ts'

const root = join(import.meta.dirname, '..', '..')

// The loaders of this process. node resolves a relative one against the working directory.
const loaders = process.execArgv.map(arg => arg.replace('--import=./', `--import=${pathToFileURL(root).href}/`))

// What the tests run with, but for settings; the TypeScript loader would look for its project in the working folder.
const inherited = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !(name in settings.properties))),
  TS_NODE_PROJECT: join(root, 'tsconfig.json'),
  // Test files run side by side; the one that is about figures chooses a port.
  METRICS_PORT: '0'
}

export interface ServerProcess {
  child: ChildProcess
  stdout (): string
  stderr (): string
  /** The log so far. */
  logs (): LogLine[]
  /** Where it listens, as soon as it does. */
  address (): Promise<string>
  /** How it ended: exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>
}

interface Options {
  env?: Record<string, string>
  args?: string[]
  cwd: string
  /** what is piped into it */
  input?: string
  /** another service's script, from the repository's root; run as it is, without loaders */
  script?: string
}

/**
 * The service as a process of its own, with these settings and no others. It is started with the loaders of this
 * one (TypeScript, coverage); where to report coverage tap adds itself. One killed by SIGKILL reports none.
 */
export function runServer (t: Test, { env = {}, args = [], cwd, input = '', script }: Options): ServerProcess {
  const run = script === undefined ? [...loaders, join(root, 'src', 'server.ts')] : [join(root, script)]
  const child = spawn(process.execPath, [...run, ...args], {
    cwd,
    env: { ...inherited, ...env }
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => { said.stdout += String(chunk) })
  child.stderr.on('data', (chunk: Buffer) => { said.stderr += String(chunk) })
  child.stdin.end(input)
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const logs = (): LogLine[] => said.stdout.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line))
  return {
    child,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    logs,
    address: async () => await until('the service to listen', () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the service ended: ${said.stderr}${said.stdout}`)
      return logs().map(line => /^Server listening at (http:\S+)/.exec(line.msg)?.[1]).find(Boolean)
    }, 60_000),
    ended
  }
}
