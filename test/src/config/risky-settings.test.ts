import { test } from 'tap'
import { readSettings } from '../../../src/config/read-settings.ts'
import { riskySettings } from '../../../src/config/risky-settings.ts'
import { SERVICE } from '../../support/settings.ts'

const warnings = (env: Record<string, string>) => riskySettings(readSettings(env))

test('settings that open a service to everybody are warned of', async t => {
  t.strictSame(warnings({ ...SERVICE, SIGNUP_ROLES: 'user,moderator,admin' }),
    ['SIGNUP_ROLES lets anybody sign up as moderator, admin. Leave it unset, and assign roles as an admin.'])
  t.strictSame(warnings({ ...SERVICE, CORS_ORIGIN: 'https://app.example.com,*' }),
    ['CORS_ORIGIN=* lets the pages of every origin call the service. Set it to the origins of your pages.'])
  t.equal(warnings({ ...SERVICE, SIGNUP_ROLES: 'admin', CORS_ORIGIN: '*' }).length, 2)
})

test('a service that sends no mails but logs their links is warned of', async t => {
  const env = { ...SERVICE, MAIL_URL: 'files', MAIL_FROM: 'a@example.com', PUBLIC_URL: 'https://example.com' }
  t.strictSame(warnings(env),
    ['MAIL_URL=files sends no mails, and logs their links, which are secrets. Set it to the URL of a mail server.'])
})

test('the defaults are not, nor is what development mode warns of itself', async t => {
  t.strictSame(warnings(SERVICE), [])
  t.strictSame(warnings({ ...SERVICE, SIGNUP_ROLES: 'user', CORS_ORIGIN: 'https://app.example.com' }), [])
  t.strictSame(warnings({ CORS_ORIGIN: '*' }), [])
})

test('sessions that are never stale are warned of', async t => {
  t.strictSame(warnings({ ...SERVICE, REAUTHENTICATION_WITHIN: '0' }),
    ['REAUTHENTICATION_WITHIN=0 lets a session of any age delete the user and change others. Set it to minutes.'])
})
