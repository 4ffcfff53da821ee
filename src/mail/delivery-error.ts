import { property } from '../unknown.ts'

const text = (value: unknown): string | undefined => typeof value === 'string' ? value : undefined

/** Commands whose refusal concerns the recipient or the message. Others concern the settings, or the server. */
const ABOUT_THE_MAIL = ['RCPT TO', 'DATA']

/** "Bad sequence of commands" and "Authentication required" (RFC 5321 §4.2.3, RFC 4954 §6) do not concern the mail. */
const ABOUT_THE_SESSION = [503, 530]

/** What prevented a delivery. It has no cause and no response of the server, which could contain the address. */
export class DeliveryError extends Error {
  /** for the log */
  readonly fields: { code: string | undefined, command: string | undefined, responseCode: number | undefined }
  /** whether another attempt would fail as well */
  readonly isPermanent: boolean

  /** @param error of nodemailer */
  constructor (error: unknown) {
    super('The mail was not delivered.')
    const [command, responseCode] = [text(property(error, 'command')), property(error, 'responseCode')]
    const status = typeof responseCode === 'number' ? responseCode : undefined
    // The code of the system, such as ECONNREFUSED, says more than nodemailer's own.
    const code = text(property(error, 'originalCode')) ?? text(property(error, 'code'))
    this.fields = { code, command, responseCode: status }
    this.isPermanent = command !== undefined && ABOUT_THE_MAIL.includes(command) &&
      status !== undefined && status >= 500 && !ABOUT_THE_SESSION.includes(status)
  }
}
