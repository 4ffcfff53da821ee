import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import type { Config } from '../../src/config/read-settings.ts'
import { configOf, createDatabase, type LogLine } from './app.ts'

/** The service with routes of the test's own beside the real ones; not yet ready, so that a boot may fail. */
export async function buildWith (t: Test, addRoutes: (app: FastifyInstance) => void, overrides: Partial<Config> = {}) {
  const logs: LogLine[] = []
  const config = configOf(overrides.DATABASE_URL ?? await createDatabase(t), overrides)
  const app = await buildApp(config, { write: line => { logs.push(JSON.parse(line)) } })
  t.teardown(async () => await app.close())
  addRoutes(app)
  return { app, logs }
}
