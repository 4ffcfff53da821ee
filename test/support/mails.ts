import type { Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { startApp, type TestApp } from './app.ts'
import { until } from './wait.ts'

/** What MAIL_URL requires, without the purges that could start at any moment. */
export const MAIL_SETTINGS = {
  MAIL_FROM: 'Example <accounts@example.com>',
  PUBLIC_URL: 'https://auth.example.com',
  HOUSEKEEPING_INTERVAL: 0
}

/** A service that sends mails. */
export const startMailApp = async (t: Test, MAIL_URL: string, overrides: Partial<Config> = {}): Promise<TestApp> =>
  await startApp(t, { ...MAIL_SETTINGS, MAIL_URL, ...overrides })

/** A mail of a kind that nobody else can cause. */
export const notice = (name: string) =>
  ({ kind: 'password-changed', recipient: `${name}@example.com`, data: { username: name } }) as const

/** Queues notices for these names. */
export async function queue ({ app }: TestApp, ...names: string[]): Promise<void> {
  for (const name of names) await app.mail.queue(app.db, notice(name))
}

/** The mails in the database, in the order in which they were queued. */
export const rowsOf = async (service: TestApp) => await service.sql<{ to: string, attempts: number, state: string }>(
  `SELECT recipient AS to, attempts, CASE WHEN sent_at IS NOT NULL THEN 'sent' WHEN failed_at IS NOT NULL THEN 'failed'
    WHEN dropped_at IS NOT NULL THEN 'dropped' ELSE 'queued' END AS state
  FROM mails ORDER BY created_at, recipient`)

/** Waits until every mail in the database has been sent, has failed or was dropped. */
export const settled = async (service: TestApp) => await until('all mails to be settled', async () => {
  const rows = await rowsOf(service)
  return rows.every(({ state }) => state !== 'queued') && rows
})

/** Waits for lines of the log. */
export const logged = async ({ logs }: TestApp, msg: string, count = 1) =>
  await until(`${count} lines "${msg}"`, () => {
    const lines = logs.filter(line => line.msg === msg)
    return lines.length >= count && lines
  })

/** Waits until every mail that was attempted is postponed, and makes it due again. */
export async function hurry (service: TestApp): Promise<void> {
  // A lease, which is longer than the first delay, is left alone.
  await until('the mails to be postponed', async () => (await service.sql(
    `UPDATE mails SET next_attempt_at = now() WHERE attempts > 0 AND sent_at IS NULL
      AND next_attempt_at BETWEEN now() AND now() + interval '170 s' RETURNING id`)).length > 0)
  service.app.mail.wake()
}
