import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { writeSecretFile } from '../tokens/secret-file.ts'
import { DeliveryError } from './delivery-error.ts'
import type { MailServer } from './mail-server.ts'
import type { Mailbox } from './mailbox.ts'
import type { Content } from './templates.ts'

interface Message extends Content {
  /** id of the mail, which its Message-ID repeats at every attempt */
  id: string
  recipient: string
}

interface Transport {
  /** @returns further fields for the log. @throws DeliveryError */
  send (message: Message): Promise<object>
  /** Makes the attempts in progress fail, and all later ones, if they could last. */
  abort (): void
}

/** Milliseconds: for the connection, its greeting and STARTTLS; for a silence; for the whole attempt. */
const TIMEOUTS = { connection: 20_000, idle: 20_000, attempt: 60_000 }

// No part of a message names a file or a URL. This also holds if a bug let one in.
const CLOSED = { disableFileAccess: true, disableUrlAccess: true }

function toOptions ({ id, recipient, subject, text, html }: Message, from: Mailbox): SendMailOptions {
  const [, domain] = from.address.split('@')
  return {
    from,
    to: { name: '', address: recipient },
    subject,
    text,
    html,
    messageId: `<${id}@${domain}>`,
    // RFC 3834 §5: no vacation message responds to it.
    headers: { 'Auto-Submitted': 'auto-generated' }
  }
}

/** Sends mails by SMTP, each over a connection of its own. */
export function createSmtpTransport (server: MailServer, from: Mailbox, timeouts = TIMEOUTS): Transport {
  const transporter = createTransport({
    ...server,
    ...CLOSED,
    tls: { minVersion: 'TLSv1.2' },
    dnsTimeout: timeouts.connection,
    connectionTimeout: timeouts.connection,
    socketTimeout: timeouts.idle
  })
  const attempts = new Set<AbortController>()
  let isAborted = false
  return {
    async send (message) {
      const attempt = new AbortController()
      attempts.add(attempt)
      if (isAborted) attempt.abort()
      // A server that sends a byte now and then is never silent.
      const timer = setTimeout(() => { attempt.abort() }, timeouts.attempt)
      try {
        await transporter.sendMail({ ...toOptions(message, from), signal: attempt.signal })
      } catch (error) {
        throw new DeliveryError(error)
      } finally {
        clearTimeout(timer)
        attempts.delete(attempt)
      }
      return {}
    },
    abort () {
      isAborted = true
      for (const attempt of attempts) attempt.abort()
    }
  }
}

/** Writes each mail to a file `ID.eml`. */
export function createFileTransport (folder: string, from: Mailbox): Transport {
  const transporter = createTransport({ ...CLOSED, streamTransport: true, buffer: true })
  return {
    async send (message) {
      const { message: content } = await transporter.sendMail(toOptions(message, from))
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const file = join(folder, `${message.id}.eml`)
      writeSecretFile(file, String(content))
      return { file }
    },
    // Files are written at once, so there is nothing to end.
    abort () {}
  }
}
