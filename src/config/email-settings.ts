import { Type } from '@sinclair/typebox'
import { integer, oneOf, seconds, text } from './setting-types.ts'

const link = (what: string, page: string) => Type.Optional(text({
  description: `Page of a front-end that ${what}, with the token in the fragment. Defaults to the service's own page, ` +
    `${page} below PUBLIC_URL.`,
  expected: 'a URL such as https://app.example.com/page (no fragment)',
  format: 'link-url'
}))

/** The settings of verified e-mail addresses and of what mails are for. */
export const emailSettings = {
  EMAIL_VERIFICATION: oneOf(['off', 'optional', 'required'], {
    description: '`optional`: users are asked by mail to verify their address. `required`: they cannot sign in before. ' +
      'Without MAIL_URL, `optional` is `off`, and `required` prevents the start.',
    default: 'optional'
  }),
  UNVERIFIED_TTL: seconds(3600, 31536000, 604800, 'Age at which a user who has signed up with ' +
    'EMAIL_VERIFICATION=required, and has not verified the address, is deleted.'),
  RATE_LIMIT_EMAIL: integer(0, 1_000_000, 20, 'Maximum number of requests for each kind of mail per minute and client address; 0 disables ' +
    'the limit.'),
  MAIL_LINK_VERIFICATION: link('verifies an address', '`/email/verify`'),
  MAIL_LINK_EMAIL_CHANGE: link('confirms a new address', '`/email/verify`'),
  MAIL_LINK_PASSWORD_RESET: link('resets a password', '`/password/reset`'),
  MAIL_LINK_UNDO: link('undoes a change of the address', '`/email/undo`')
}
