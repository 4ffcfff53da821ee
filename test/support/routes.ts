import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.ts'
import type { Config } from '../../src/config/read-settings.ts'
import { collectLogs, configOf, createDatabase } from './app.ts'

/** The service with further routes of a test. It is not yet ready, so that a test can expect the start to fail. */
export async function buildWith (t: Test, addRoutes: (app: FastifyInstance) => void, overrides: Partial<Config> = {}) {
  const { logs, stream } = collectLogs()
  const app = await buildApp(configOf(overrides.DATABASE_URL ?? await createDatabase(t), overrides), stream)
  t.teardown(async () => await app.close())
  addRoutes(app)
  return { app, logs }
}
