import { type Config, ConfigError, readSettings } from '../../src/config/read-settings.ts'

export const SECRET = 'a secret of the tests, at least 32 bytes long'

export const OTHER_SECRET = 'another secret of the tests, as long as the one before'

/** What a secret must be. */
export const SECRET_EXPECTED = 'at least 32 bytes with 10 different characters, not repetitive and not an example; ' +
  'generate one with: openssl rand -base64 48'

export const ENCRYPTION_KEYS = [
  'Zk3vQ1t8mJx0PpYwR5uHbN2cLdE7sGfA9iKoTyXhVqM=', '5d0c8e1f7ab94263b8f0d7c1e3a65942f19b0c7d6e8a4f3251c0b9d8e7f6a5b4'
]

/** What ENCRYPTION_KEYS must be. */
export const KEYS_EXPECTED = 'a comma-separated list of keys, each of at least 32 random bytes in base64 or hexadecimal; ' +
  'generate one with: openssl rand -base64 32'

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

/** The settings of a service, with hashes cheap enough for a test. */
export function configOf (url: string, overrides: Partial<Config> = {}): Config {
  const settings = readSettings({
    DATABASE_URL: url,
    JWT_SECRET: SECRET,
    ARGON2_MEMORY_KIB: '1024',
    ARGON2_TIME: '1',
    LOG_LEVEL: 'debug',
    CORS_ORIGIN: 'http://localhost:8081',
    RATE_LIMIT_SIGNIN: '100000',
    MAX_EVENT_LOOP_DELAY: '0',
    MAX_CONNECTIONS: '1000'
  })
  return { ...settings, DATABASE_URL: url, JWT_SECRET: SECRET, ...overrides }
}
