import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { EmbeddedPostgres } from './embedded-postgres.ts'

export interface Playground {
  /** What the settings left open. */
  settings: { DATABASE_URL: string, JWT_SECRET: string }
  close (): Promise<void>
}

/**
 * A PostgreSQL and a secret in a folder, for a service without DATABASE_URL. One process owns the folder; what a
 * killed one left running there is stopped first, and its data used.
 * @param dir DATA_DIR
 * @param share work beside a running owner instead of failing, for the command line's tools
 */
export async function openPlayground (dir: string, { share = false } = {}): Promise<Playground> {
  const folder = resolve(dir)
  // Others may pass: PostgreSQL runs as another user where we are root. The secret has its own mode.
  await mkdir(folder, { recursive: true, mode: 0o755 })
  const secret = await ownSecret(join(folder, 'secret'))
  const password = createHmac('sha256', secret).update('postgres password').digest('base64url')
  const postgres = await EmbeddedPostgres.at(join(folder, 'postgres'), password)

  const pidFile = join(folder, 'owner.pid')
  const owner = Number(await readFile(pidFile, 'utf8').catch(() => ''))
  if (await postgres.isRunning()) {
    if (isAlive(owner)) {
      if (!share) throw new Error(`Process ${owner} uses ${folder}. Stop it, or set DATA_DIR to another folder.`)
      return { settings: { DATABASE_URL: await postgres.url(), JWT_SECRET: secret }, close: async () => {} }
    }
    await postgres.stop()
  }
  await writeFile(pidFile, String(process.pid))
  await postgres.start()
  return {
    settings: { DATABASE_URL: await postgres.url(), JWT_SECRET: secret },
    async close () {
      await postgres.stop()
      await rm(pidFile, { force: true })
    }
  }
}

/** Kept, so that tokens outlive a restart. */
async function ownSecret (file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (Object(error).code !== 'ENOENT') throw error
  }
  // Made beside its place and moved there, so that one cut short (an empty secret) is never taken for whole.
  const secret = randomBytes(48).toString('base64url')
  await writeFile(`${file}.making`, secret, { mode: 0o600 })
  await rename(`${file}.making`, file)
  return secret
}

function isAlive (pid: number): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: alive, and another user's.
    return Object(error).code === 'EPERM'
  }
}
