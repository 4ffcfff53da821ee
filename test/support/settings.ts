import { ConfigError, readSettings } from '../../src/config/read-settings.ts'
import { SECRET } from './app.ts'

export const OTHER_SECRET = 'another secret of the tests, as long as the one before'

/** The settings that service mode requires. */
export const SERVICE = { DATABASE_URL: 'postgres://gatehouse:word@db.example.com:5432/gatehouse', JWT_SECRET: SECRET }

/** The faults of an environment. */
export function faultsOf (env: Record<string, string | undefined>): string[] {
  try {
    readSettings(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}
