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

/** Makes mails due again whose last attempt has failed, of instances of one service. @returns whether there were any */
export async function makeDue (...services: [TestApp, ...TestApp[]]): Promise<boolean> {
  const delayed = services.flatMap(({ logs }) => logs.filter(({ msg }) => msg === 'mail delayed'))
  // The interval excludes leases: an outcome is stored after its line is logged.
  const due = await services[0].sql(`UPDATE mails SET next_attempt_at = now()
    FROM unnest($1::uuid[], $2::int[]) AS delayed (id, attempts)
    WHERE mails.id = delayed.id AND mails.attempts = delayed.attempts AND sent_at IS NULL
      AND next_attempt_at BETWEEN now() AND now() + interval '170 s' RETURNING mails.id`,
  [delayed.map(line => line['mail']), delayed.map(line => line['attempts'])])
  for (const { app } of services) app.mail.wake()
  return due.length > 0
}

/** Waits until an attempt has failed, and makes its mail due again. */
export const hurry = async (service: TestApp): Promise<void> => {
  await until('a mail to be postponed', async () => await makeDue(service))
}
