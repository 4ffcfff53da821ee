import { isLoopback } from '../config/development-faults.ts'

/** How to reach a mail server, as nodemailer's options. */
export interface MailServer {
  host: string
  port: number
  /** TLS from the start */
  secure: boolean
  /** Sends nothing before STARTTLS has succeeded. Otherwise it is used if the server offers it. */
  requireTLS: boolean
  auth?: { user: string, pass: string }
}

/** Ports of message submission: with TLS from the start (RFC 8314 §7.3), and with STARTTLS (RFC 6409 §3.1). */
const [SMTPS, SUBMISSION] = [465, 587]

/** Reads a URL such as `smtps://user:password@host`. @returns undefined for any other text */
export function parseMailUrl (text: string): MailServer | undefined {
  if (!/^smtps?:\/\//.test(text) || !URL.canParse(text)) return undefined
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text)
  if (hostname === '' || !['', '/'].includes(pathname) || `${search}${hash}` !== '') return undefined
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const secure = protocol === 'smtps:'
  const server = {
    host,
    port: port === '' ? secure ? SMTPS : SUBMISSION : Number(port),
    secure,
    requireTLS: !secure && !isLoopback(host)
  }
  if (username === '') return server
  try {
    return { ...server, auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }
  } catch {
    // A percent sign that encodes nothing.
    return undefined
  }
}
