import { join } from 'node:path'
import { FILES } from '../config/mail-settings.ts'
import type { Config } from '../config/read-settings.ts'
import { parseMailUrl } from './mail-server.ts'
import { parseMailbox } from './mailbox.ts'
import { loadTemplates, type Variables } from './templates.ts'

/** What a mail says, and to whom. */
export interface Prepared {
  /** of the templates of its kind */
  variables: Variables
  /** in place of the address that was queued, whose spelling may differ from that of the user */
  recipient?: string
  /** what to do before the mail is sent, once its transaction has committed */
  beforeSend?: () => Promise<void>
}

/** Renders mails and hands them to the mail server, or writes them to files. */
export interface Outlet {
  /** @returns further fields for the log. @throws DeliveryError, or Error if a variable is missing */
  send (mail: { id: string, kind: string, recipient: string }, prepared: Prepared): Promise<object>
  /** Makes the attempts in progress fail, and all later ones, if they could last. */
  abort (): void
}

/** @returns undefined without MAIL_URL. @throws Error that names the template that is invalid */
export async function createOutlet (config: Config): Promise<Outlet | undefined> {
  const { MAIL_URL, PRODUCT_NAME: product } = config
  if (MAIL_URL === undefined) return undefined
  const url = demand('PUBLIC_URL', config.PUBLIC_URL)
  const from = demand('MAIL_FROM', parseMailbox(config.MAIL_FROM ?? ''))
  const render = loadTemplates(config.MAIL_TEMPLATES, { product, url })
  // Loaded on demand: most of the start is loading files.
  const { createFileTransport, createSmtpTransport } = await import('./transport.ts')
  const transport = MAIL_URL === FILES
    ? createFileTransport(join(config.DATA_DIR, 'mails'), from)
    : createSmtpTransport(demand('MAIL_URL', parseMailUrl(MAIL_URL)), from)
  return {
    async send ({ id, kind, recipient: queued }, { variables, recipient = queued }) {
      const fields = await transport.send({ id, recipient, ...render(kind, variables) })
      return MAIL_URL === FILES ? { ...fields, link: variables['link'] } : fields
    },
    abort () { transport.abort() }
  }
}

/** Narrows the type of a setting. The reader of the settings has validated it already. */
function demand<T> (name: string, value: T | undefined): T {
  if (value === undefined) throw new Error(`${name} is missing or invalid.`)
  return value
}
