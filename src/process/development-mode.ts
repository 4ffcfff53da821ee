import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Config } from '../config/read-settings.ts'
import type { Settings } from '../config/settings.ts'
import { writeSecretFile } from '../tokens/secret-file.ts'
import { errorCode, errorMessage } from '../unknown.ts'
import { EmbeddedPostgres } from './embedded-postgres.ts'
import { isAlive } from './is-alive.ts'

interface DevelopmentDatabase {
  /** the settings that development mode generates */
  settings: Pick<Config, 'DATABASE_URL' | 'JWT_SECRET' | 'ENCRYPTION_KEYS'>
  close (): Promise<void>
}

interface OpenOptions {
  /** use the database of a running service instead of failing, for commands */
  share?: boolean
  /** reports that PostgreSQL was restarted, or that this failed */
  onRestart?: (message: string) => void
}

/** Milliseconds between two checks whether PostgreSQL still runs. */
const CHECK_INTERVAL = 500

interface CompletedSettings {
  config: Config
  /** stops the embedded PostgreSQL, if there is one */
  close (): Promise<void>
}

/**
 * Completes the settings. In development mode this starts an embedded PostgreSQL and generates secrets.
 * @throws Error that says what to do
 */
export async function completeSettings (settings: Settings, options?: OpenOptions): Promise<CompletedSettings> {
  const { DATABASE_URL, REFRESH_SECRET, JWT_SECRET = REFRESH_SECRET } = settings
  if (DATABASE_URL !== undefined && JWT_SECRET !== undefined) {
    return { config: { ...settings, DATABASE_URL, JWT_SECRET }, close: async () => {} }
  }
  const database = await openDevelopmentDatabase(settings.DATA_DIR, options)
  return { config: { ...settings, ...database.settings }, close: async () => { await database.close() } }
}

/**
 * Starts an embedded PostgreSQL, with a generated secret, in a folder that one process owns at a time. A PostgreSQL
 * that a killed process left behind is stopped first, and one that is killed is restarted.
 * @param dir DATA_DIR
 */
export async function openDevelopmentDatabase (dir: string, options: OpenOptions = {}): Promise<DevelopmentDatabase> {
  const { share = false, onRestart = console.error } = options
  const folder = resolve(dir)
  // Others may enter: as root, PostgreSQL runs as another user. The secret's file has a mode of its own.
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const secret = await readSecret(join(folder, 'secret'))
  const derive = (purpose: string) => createHmac('sha256', secret).update(purpose).digest()
  const postgres = await EmbeddedPostgres.at(join(folder, 'postgres'), derive('postgres password').toString('base64url'))
  const secrets = { JWT_SECRET: secret, ENCRYPTION_KEYS: [derive('encryption key').toString('base64')] }

  const pidFile = join(folder, 'owner.pid')
  const owner = Number(await readFile(pidFile, 'utf8').catch(() => ''))
  if (await postgres.isRunning()) {
    if (isAlive(owner)) {
      if (!share) throw new Error(`Process ${owner} uses ${folder}. Stop it, or set DATA_DIR to another folder.`)
      return { settings: { DATABASE_URL: postgres.url(), ...secrets }, close: async () => {} }
    }
    await postgres.stop()
  }
  await writeFile(pidFile, String(process.pid))
  await postgres.start()
  const settings = { DATABASE_URL: postgres.url(), ...secrets }
  const stopRestarting = restartWhenKilled(postgres, settings.DATABASE_URL, onRestart)
  return {
    settings,
    async close () {
      await stopRestarting()
      if (await postgres.isRunning()) await postgres.stop()
      await rm(pidFile, { force: true })
    }
  }
}

/** Restarts a PostgreSQL that was killed, on the same port. @returns a function that ends this */
function restartWhenKilled (postgres: EmbeddedPostgres, url: string, report: (message: string) => void) {
  let restarting: Promise<void> | undefined
  const restart = async () => {
    try {
      await postgres.start({ port: Number(new URL(url).port) })
      report('The embedded PostgreSQL was killed and has been restarted.')
    } catch (error) {
      report(`The embedded PostgreSQL was killed and cannot be restarted: ${errorMessage(error)}`)
    }
  }
  const check = setInterval(() => {
    if (restarting || postgres.hasProcess()) return
    restarting = restart().finally(() => { restarting = undefined })
  }, CHECK_INTERVAL)
  check.unref()
  return async (): Promise<void> => {
    clearInterval(check)
    await restarting
  }
}

/** Reads the secret, which is generated once, so that tokens survive a restart. */
async function readSecret (file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
  const secret = randomBytes(48).toString('base64url')
  writeSecretFile(file, secret)
  return secret
}
