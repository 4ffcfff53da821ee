import type { Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import type { TestApp } from './app.ts'
import { type ReceivedMail, startMailServer } from './mail-server.ts'
import { startMailApp } from './mails.ts'
import { until } from './wait.ts'

/** What a mail with a link carries. */
export interface Letter {
  subject: string
  token: string
  code: string
  /** without the fragment */
  page: string
  /** the fields of the fragment */
  fields: Record<string, string>
}

export function readLetter ({ headers, text }: ReceivedMail): Letter {
  const url = new URL(/https?:\/\/\S+#\S+/.exec(text)?.[0] ?? 'https://no-link.example.com')
  const fields = Object.fromEntries(new URLSearchParams(url.hash.slice(1)))
  return {
    subject: headers['subject'] ?? '',
    token: fields['token'] ?? '',
    code: /\b\d{6}\b/.exec(text)?.[0] ?? '',
    page: `${url.origin}${url.pathname}`,
    fields
  }
}

export type Mailbox = Awaited<ReturnType<typeof openMailbox>>

/** A service with a mail server and without limits of mails, and the mails that users have received. */
export async function openMailbox (t: Test, overrides: Partial<Config> = {}) {
  const server = await startMailServer(t)
  const service = await startMailApp(t, server.url, { MAIL_RECIPIENT_LIMIT: 0, RATE_LIMIT_EMAIL: 0, ...overrides })
  const lettersTo = (address: string) => server.mails.filter(({ to }) => to.includes(address)).map(readLetter)
  return {
    ...service,
    server,
    lettersTo,
    /** The newest mail to an address, once it has received so many. */
    async letter (address: string, count = 1): Promise<Letter> {
      return await until(`${count} mails to ${address}`, () => lettersTo(address)[count - 1])
    },
    /** Waits until nothing is left to send. */
    async settled () {
      await until('all mails to be settled', async () => (await service.sql(
        'SELECT FROM mails WHERE sent_at IS NULL AND failed_at IS NULL AND dropped_at IS NULL')).length === 0)
    }
  }
}

/** Signs a user up who verifies the address at once. */
export async function signUpVerified (service: TestApp, name: string, roles?: string[]): Promise<void> {
  await service.signUp(name, roles)
  await service.sql('UPDATE users SET email_verified_at = now() WHERE username = $1', [name])
}
