import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Test } from 'tap'

export interface ReceivedMail {
  /** from the envelope */
  from: string
  to: string[]
  /** by name in lower case, unfolded */
  headers: Record<string, string>
  text: string
  html: string
  isSecure: boolean
  /** who has authenticated */
  user: unknown
  /** whether the client has closed the connection, so it knows that the mail was accepted */
  isAcknowledged: boolean
}

type Rule = (address: string) => Error | undefined

export interface MailServerOptions extends SMTPServerOptions {
  port?: number
  /** the error for a recipient */
  rejects?: Rule
  /** the error for a message, by its recipient */
  rejectsMessage?: Rule
}

/** An error with which a server responds. */
export const response = (responseCode: number, message = 'no') => Object.assign(new Error(message), { responseCode })

const decode = (encoded: string): string => Buffer.from(encoded.replace(/=\n/g, '')
  .replace(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString()

/** Reads a message of two parts in quoted-printable or 7bit, as the service writes it. */
export function parseMessage (raw: string) {
  const [head = '', ...rest] = raw.replaceAll('\r\n', '\n').split('\n\n')
  const headers = Object.fromEntries(head.replace(/\n[ \t]+/g, ' ').split('\n').map(line => {
    const [name = '', ...value] = line.split(': ')
    return [name.toLowerCase(), value.join(': ')]
  }))
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1]
  const partOf = (type: string): string => {
    const part = rest.join('\n\n').split(`--${boundary}`).find(part => part.includes(`Content-Type: ${type};`)) ?? ''
    const [partHead = '', ...body] = part.split('\n\n')
    return partHead.includes('quoted-printable') ? decode(body.join('\n\n')) : body.join('\n\n')
  }
  return { headers, text: partOf('text/plain'), html: partOf('text/html') }
}

/** A mail server on this machine, without TLS unless the options say otherwise. Closed at the end. */
export async function startMailServer (t: Test, options: MailServerOptions = {}) {
  const { port = 0, rejects = () => undefined, rejectsMessage = () => undefined, ...others } = options
  const mails: ReceivedMail[] = []
  const sockets = new Set<Socket>()
  let isKilled = false
  const bySession = new Map<string, ReceivedMail>()
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    logger: false,
    onRcptTo ({ address }, _session, done) { done(rejects(address)) },
    onData (stream, session, done) {
      const to = session.envelope.rcptTo.map(({ address }) => address)
      text(stream).then(raw => {
        const error = rejectsMessage(String(to[0]))
        const { mailFrom } = session.envelope
        const from = mailFrom === false ? '' : mailFrom.address
        const user: unknown = session.user
        const mail = { from, to, ...parseMessage(raw), isSecure: session.secure, user, isAcknowledged: false }
        if (!error) {
          mails.push(mail)
          bySession.set(session.id, mail)
        }
        done(error)
      }, done)
    },
    onClose (session) {
      const mail = bySession.get(session.id)
      if (mail && !isKilled) mail.isAcknowledged = true
    },
    ...others
  })
  // A client that does not trust the certificate, or goes away.
  server.on('error', () => {})
  const listener = server.listen(port, '127.0.0.1')
  listener.on('connection', socket => {
    sockets.add(socket)
    socket.once('close', () => { sockets.delete(socket) })
  })
  await once(listener, 'listening')
  /** Closes the listener and breaks every connection, as the end of its process does. */
  const kill = async () => {
    if (isKilled) return
    isKilled = true
    const closed = once(listener, 'close')
    listener.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  t.teardown(kill)
  const { port: own } = listener.address() as AddressInfo
  return { port: own, url: `smtp://127.0.0.1:${own}`, mails, kill, connections: () => sockets.size }
}

export type MailServer = Awaited<ReturnType<typeof startMailServer>>
