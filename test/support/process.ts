import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import type { Test } from 'tap'
import { settings } from '../../src/config/settings.ts'
import type { LogLine } from './app.ts'
import { until } from './wait.ts'

const root = join(import.meta.dirname, '..', '..')

// The environment of the tests without settings, and without what npm tells of the command that started the tests.
const inherited = {
  ...Object.fromEntries(Object.entries(process.env)
    .filter(([name]) => !(name in settings.properties) && !name.startsWith('npm_'))),
  // Test files run side by side. A test of metrics chooses a port.
  METRICS_PORT: '0',
  // Fits the file descriptors of any machine, so that no warning appears among the lines that tests compare.
  MAX_CONNECTIONS: '1000'
}

/**
 * The loaders of this process for another one: coverage and strip-types.js, but not that of mocks, nor tap's own of
 * TypeScript, which would compile the files to other text, so that the coverage of the two could not be merged. Node.js
 * would resolve a relative path against the working directory of that process.
 */
export const loaders = process.execArgv.filter(arg => !/@tapjs\/(mock|typescript)/.test(arg))
  .map(arg => arg.replace('--import=./', `--import=${pathToFileURL(root).href}/`))

/** The arguments with which Node.js runs the service. */
export const serviceArgs = [...loaders, join(root, 'src', 'server.ts')]

/** The settings of a service with cheap hashes, on a free port. */
export const CHEAP = { ARGON2_MEMORY_KIB: '1024', ARGON2_TIME: '1', PORT: '0', HOST: '127.0.0.1' }

type Ended = Promise<number | NodeJS.Signals | null>

export interface ServerProcess {
  child: ChildProcess
  stdout (): string
  stderr (): string
  /** the log so far */
  logs (): LogLine[]
  /** the lines of the log so far of level warn and above */
  warnings (): string[]
  /** the URL it listens on, as soon as it does */
  address (): Promise<string>
  /** the exit code, or the signal that ended it */
  ended: Ended
}

interface Options {
  env?: Record<string, string>
  args?: string[]
  cwd: string
  /** text for its standard input */
  input?: string
  /** limit of file descriptors */
  descriptors?: number
  /** the script of another service, relative to the root of the repository; run without loaders */
  script?: string
}

const endOf = async (child: ChildProcess): Ended =>
  await new Promise(resolve => { child.once('close', (code, signal) => { resolve(code ?? signal) }) })

/**
 * Starts the service as a process of its own, with these settings and no others. tap adds where to write its coverage.
 * A process that is ended by a signal writes none.
 */
export function runServer (t: Test, options: Options): ServerProcess {
  const { env = {}, args = [], cwd, input = '', script, descriptors } = options
  const run = script === undefined ? serviceArgs : [join(root, script)]
  const node = [process.execPath, ...run, ...args]
  const limited = ['sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh', ...node]
  const [program = '', ...rest] = descriptors === undefined ? node : limited
  const child = spawn(program, rest, { cwd, env: { ...inherited, ...env } })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => { output.stdout += String(chunk) })
  child.stderr.on('data', (chunk: Buffer) => { output.stderr += String(chunk) })
  child.stdin.on('error', () => {}).end(input)
  const ended = endOf(child)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const logs = () => output.stdout.split('\n').filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line) as LogLine)
  return {
    child,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    logs,
    warnings: () => logs().filter(line => Number(line['level']) >= 40).map(line => line.msg),
    address: async () => await until('the service to listen', () => {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`the service ended: ${output.stderr}${output.stdout}`)
      }
      return logs().map(line => /^Server listening at (http:\S+)/.exec(line.msg)?.[1]).find(Boolean)
    }, 60_000),
    ended
  }
}

/** Runs the service with the arguments of a command, to its end. */
export async function runCommand (t: Test, options: Options) {
  const { ended, stdout, stderr } = runServer(t, options)
  return { code: await ended, stdout: stdout(), stderr: stderr() }
}

/**
 * Starts the service at a terminal, by script(1) of util-linux.
 * @returns among others its screen: everything that it or the terminal's echo wrote, without colours; and `hangUp`,
 *   which closes the terminal, as closing its window does
 */
export async function runAtTerminal (t: Test, { env = {}, args = [], cwd }: Options) {
  const quoted = [process.execPath, ...serviceArgs, ...args].map(arg => `'${arg}'`).join(' ')
  const terminal = spawn('script', ['-qec', `exec ${quoted}`, '-E', 'always', '/dev/null'], {
    cwd, env: { ...inherited, SHELL: '/bin/sh', TERM: 'xterm', ...env }
  })
  let screen = ''
  terminal.stdout.on('data', (chunk: Buffer) => { screen += String(chunk) })
  terminal.stdin.on('error', () => {})
  const ended = endOf(terminal)
  const pid = await until('the service to start', async () => (await childrenOf(Number(terminal.pid)))[0])
  t.teardown(async () => {
    if (!hasEnded(pid)) process.kill(pid, 'SIGKILL')
    await ended
  })
  return {
    pid,
    hangUp: () => { terminal.kill('SIGKILL') },
    screen: () => stripVTControlCharacters(screen).replaceAll('\r\n', '\n'),
    type: (text: string) => { terminal.stdin.write(text) },
    ended
  }
}

/** The process ids of the children of a process, as Linux lists them. */
export async function childrenOf (pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return children.split(' ').filter(Boolean).map(Number)
}

/** Whether a process has ended. One whose parent has ended stays in the list until it is reaped, in the state Z. */
export function hasEnded (pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return true
  }
}
