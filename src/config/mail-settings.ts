import { FormatRegistry, Type } from '@sinclair/typebox'
import { parseMailUrl } from '../mail/mail-server.ts'
import { parseMailbox } from '../mail/mailbox.ts'
import { integer, text } from './setting-types.ts'

/** The MAIL_URL that writes mails to files. */
export const FILES = 'files'

FormatRegistry.Set('mail-url', text => text === FILES || parseMailUrl(text) !== undefined)
FormatRegistry.Set('mailbox', text => parseMailbox(text) !== undefined)
// Links are made by appending a path.
FormatRegistry.Set('base-url', text => {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false
  const { username, search, hash } = new URL(text)
  return !text.endsWith('/') && `${username}${search}${hash}` === ''
})

/** The settings of mails, and of the links in them. */
export const mailSettings = {
  MAIL_URL: Type.Optional(text({
    description: 'Mail server. `smtps` uses TLS from the start, `smtp` STARTTLS. `files` writes each mail to a file in ' +
      'DATA_DIR/mails instead and logs its link. Without it, no mail is sent. See mail.md.',
    expected: 'a URL such as smtps://user:password@mail.example.com or smtp://user:password@mail.example.com:587 (no path), ' +
      'or files',
    format: 'mail-url',
    development: FILES
  })),
  MAIL_FROM: Type.Optional(text({
    description: 'Sender of the mails. Required with MAIL_URL.',
    expected: 'an address, or a name followed by an address in angle brackets',
    format: 'mailbox',
    development: 'gatehouse@localhost'
  })),
  PUBLIC_URL: Type.Optional({
    ...text({
      description: 'Base URL of the service as users see it, for the links in mails. Required with MAIL_URL.',
      expected: 'a URL such as https://auth.example.com, without a trailing slash',
      format: 'base-url',
      defaultText: 'none; in development mode `http://localhost:PORT`'
    }),
    derive: ({ DATABASE_URL, PORT }: Readonly<Record<string, unknown>>) => {
      const url = `http://localhost:${String(PORT)}`
      // An invalid PORT is a fault of its own.
      return DATABASE_URL === undefined ? URL.canParse(url) ? url : 'http://localhost' : undefined
    }
  }),
  PRODUCT_NAME: text({
    description: 'Name of the product in mails.',
    expected: 'a name of at most 64 characters',
    default: 'gatehouse',
    pattern: '^[^\\u0000-\\u001f\\u007f]{1,64}$'
  }),
  MAIL_TEMPLATES: Type.Optional(text({
    description: 'Folder of templates that replace the built-in ones of the same name. See mail.md.',
    expected: 'a path'
  })),
  MAIL_RECIPIENT_LIMIT: integer(0, 1000, 5, 'Maximum number of mails of one kind per hour to one address; 0 ' +
    'disables the limit.')
}
