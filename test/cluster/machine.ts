import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { appendFile, chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { errorCode, property } from '../../src/unknown.ts'
import { until } from '../support/wait.ts'

// Starts what the cluster tests need, and stops it at their end.

const exec = promisify(execFile)

export const ROOT = join(import.meta.dirname, '..', '..')

/** Debian's newest PostgreSQL. */
export const POSTGRES_BIN = readdirSync('/usr/lib/postgresql').map(Number).sort((a, b) => b - a)
  .map(version => `/usr/lib/postgresql/${version}/bin`)[0] ?? ''

/** The user as whom PostgreSQL, etcd and PgBouncer run. Some of them refuse to run as root. */
const asPostgres = ['setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups']

/** Creates a folder that the user postgres may write to, and that is removed at the end. */
export async function createFolder (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-cluster-'))
  await chmod(folder, 0o755)
  await give(folder)
  t.teardown(async () => await rm(folder, { recursive: true, force: true }))
  return folder
}

export async function give (path: string): Promise<void> {
  const id = async (flag: string) => Number((await exec('id', [flag, 'postgres'])).stdout)
  await chown(path, await id('-u'), await id('-g'))
}

export async function writeFor (path: string, text: string, mode = 0o600): Promise<string> {
  await writeFile(path, text, { mode })
  await give(path)
  return path
}

/** Finds a free port, and never the same one twice. */
const taken = new Set<number>()
export async function freePort (): Promise<number> {
  const server = createServer()
  const port = await new Promise<number>(resolve => server.listen(0, '127.0.0.1', () => {
    resolve((server.address() as AddressInfo).port)
  }))
  await new Promise(resolve => server.close(resolve))
  if (taken.has(port)) return await freePort()
  taken.add(port)
  return port
}

/** Reads a file of deploy/, with the addresses and ports of the test instead of those of the example. */
export async function deployed (name: string, replace: Array<[from: string | RegExp, to: string]>): Promise<string> {
  let text = await readFile(join(ROOT, 'deploy', name), 'utf8')
  for (const [from, to] of replace) {
    if (text.split(from).length === 1) throw new Error(`${name} has no ${String(from)}`)
    text = text.replaceAll(from, to)
  }
  return text
}

export interface Started {
  pid: number
  /** undefined while it runs, then its exit code, or the signal that ended it */
  end (): number | string | undefined
  ended: Promise<number | string>
  output (): string
  kill (signal: NodeJS.Signals): void
}

interface Options {
  env?: Record<string, string>
  folder: string
  root?: boolean
}

/** Starts a program, with its output in a file `<name>.log`. It is killed at the end of the test. */
export function start (t: Test, name: string, command: string[], { env = {}, folder, root = false }: Options): Started {
  const log = join(folder, `${name}.log`)
  const to = openSync(log, 'a')
  const [program = '', ...args] = root ? command : [...asPostgres, ...command]
  const child: ChildProcess = spawn(program, args, {
    cwd: folder,
    // Without the loaders, the coverage and the settings of this process.
    env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', HOME: folder, ...env },
    stdio: ['ignore', to, to]
  })
  closeSync(to)
  const ended = new Promise<number | string>(resolve => {
    child.once('exit', (code, signal) => { resolve(code ?? String(signal)) })
  })
  const started = {
    pid: Number(child.pid),
    end: () => child.exitCode ?? child.signalCode ?? undefined,
    ended,
    output: () => readFileSync(log, 'utf8'),
    kill: (signal: NodeJS.Signals) => { child.kill(signal) }
  }
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    if (!t.passing()) t.comment(`the end of ${name}'s log:\n${started.output().slice(-3000)}`)
  })
  return started
}

export async function run (command: string[], cwd = '/'): Promise<string> {
  const [program = '', ...args] = command
  return (await exec(program, args, { cwd })).stdout
}

/** Kills every process of a PostgreSQL at once, like the loss of its machine. */
export async function killPostgres (data: string): Promise<void> {
  await until('the end of its processes', () => {
    const own = processesIn(data)
    for (const pid of own) end(pid)
    return own.length === 0
  })
}

function end (pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // It may have ended with its parent since it was found.
    if (errorCode(error) !== 'ESRCH') throw error
  }
}

/** The processes with this working directory. Those of PostgreSQL have its data folder. */
function processesIn (folder: string): number[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name)).filter(pid => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === folder
    } catch {
      return false
    }
  }).map(Number)
}

export const PASSWORD = 'only-in-this-test'

interface PostgresOptions {
  /** lines of postgresql.conf */
  conf?: string[]
  /** pg_hba.conf */
  hba?: string
}

/** Starts a PostgreSQL with the user postgres and PASSWORD. */
export async function startPostgres (
  t: Test,
  { conf = [], hba = 'host all all 127.0.0.1/32 scram-sha-256' }: PostgresOptions = {}
): Promise<{ port: number, folder: string }> {
  const [folder, port] = [await createFolder(t), await freePort()]
  const data = join(folder, 'data')
  const passwordFile = await writeFor(join(folder, 'password'), PASSWORD)
  await run([...asPostgres, `${POSTGRES_BIN}/initdb`, '-D', data, '-U', 'postgres', '-A', 'scram-sha-256',
    `--pwfile=${passwordFile}`, '-E', 'UTF8'])
  await appendFile(join(data, 'postgresql.conf'), [
    '', 'listen_addresses = \'127.0.0.1\'', 'unix_socket_directories = \'\'', `port = ${port}`, ...conf, ''
  ].join('\n'))
  await writeFile(join(data, 'pg_hba.conf'), `${hba}\n`)
  const server = start(t, 'postgres', [`${POSTGRES_BIN}/postgres`, '-D', data], { folder })
  await until('PostgreSQL', () => server.output().includes('ready to accept connections'))
  return { port, folder }
}

export interface Instance extends Started {
  url: string
}

/** Cheap hashes, and limits above the load of the tests. */
const SETTINGS = {
  JWT_SECRET: 'a secret of the cluster tests, at least 32 bytes',
  ARGON2_MEMORY_KIB: '1024',
  ARGON2_TIME: '1',
  RATE_LIMIT_SIGNUP: '100000',
  RATE_LIMIT_SIGNIN: '100000',
  RATE_LIMIT_REFRESH: '100000',
  RATE_LIMIT_REQUESTS: '0'
}

/** Starts the built service. It does not necessarily listen yet. */
export async function startInstance (
  t: Test,
  folder: string,
  name: string,
  env: Record<string, string>
): Promise<Instance> {
  const { HOST = '127.0.0.1', PORT = String(await freePort()) } = env
  const home = join(folder, name)
  await mkdir(home)
  const command = ['node', '--enable-source-maps', join(ROOT, 'dist', 'src', 'server.js')]
  const started = start(t, name, command, { folder: home, root: true, env: { ...SETTINGS, HOST, PORT, ...env } })
  return { ...started, url: `http://${HOST}:${PORT}` }
}

export const listens = async (instance: Instance): Promise<void> => {
  await until(`${instance.url} to listen`, () => {
    if (instance.end() !== undefined) throw new Error(`the service ended: ${instance.output()}`)
    return instance.output().includes('Server listening')
  }, 60_000)
}

export interface Response {
  status: number
  body: Record<string, unknown>
}

interface Request {
  body?: unknown
  /** an access token */
  token?: string
}

/** Sends a request. The status of a failed connection is 0. */
export async function send (url: string, path: string, { body: sent, token }: Request = {}): Promise<Response> {
  try {
    const response = await fetch(`${url}/api/${path}`, {
      headers: { 'content-type': 'application/json', ...token !== undefined && { 'x-access-token': token } },
      ...sent !== undefined && { method: 'POST', body: JSON.stringify(sent) },
      signal: AbortSignal.timeout(30_000)
    })
    const text = await response.text()
    const body = text.startsWith('{') ? JSON.parse(text) as Record<string, unknown> : { text }
    return { status: response.status, body }
  } catch (error) {
    return { status: 0, body: { error: String(property(error, 'cause') ?? error) } }
  }
}

export const signUpBody = (username: string) => ({ username, email: `${username}@example.com`, password: 'correct horse' })

export const signIn = async (url: string, username: string): Promise<Response> =>
  await send(url, 'auth/signin', { body: { username, password: 'correct horse' } })

/** Signs up, signs in, refreshes, and sends two requests with the token. Every status has to be 200. */
export async function walk (t: Test, url: string, username: string): Promise<void> {
  const signedUp = await send(url, 'auth/signup', { body: signUpBody(username) })
  const signedIn = await signIn(url, username)
  const refreshed = await send(url, 'auth/refreshtoken', { body: { refreshToken: signedIn.body['refreshToken'] } })
  const token = String(refreshed.body['accessToken'])
  const me = await send(url, 'users/me', { token })
  const user = await send(url, 'test/user', { token })
  t.strictSame([signedUp, signedIn, refreshed, me, user].map(response => response.status), [200, 200, 200, 200, 200])
  t.equal(me.body['username'], username)
}
