import Fastify, { type FastifyBaseLogger } from 'fastify'
import dbPlugin from '../../plugins/db.ts'
import type { Database } from '../../sql/database.ts'
import type { Config } from '../config/read-settings.ts'
import type { Settings } from '../config/settings.ts'
import { logOptions } from '../telemetry/log-options.ts'
import { commandLog } from './command-line.ts'
import { completeSettings } from './development-mode.ts'

interface CommandDatabase {
  config: Config
  db: Database
  log: FastifyBaseLogger
}

/**
 * Runs a command on the database, without the rest of the service: a command that takes minutes should neither send
 * mails nor purge. In development mode, it shares the database of a running service.
 */
export async function withDatabase<Result> (
  settings: Settings,
  work: (database: CommandDatabase) => Promise<Result>
): Promise<Result> {
  const { config, close } = await completeSettings(settings, { share: true })
  const app = Fastify({ logger: { ...logOptions(config), stream: commandLog() }, pluginTimeout: 0 })
  try {
    await app.register(dbPlugin, { config })
    await app.ready()
    return await work({ config, db: app.db, log: app.log })
  } finally {
    await app.close()
    await close()
  }
}
