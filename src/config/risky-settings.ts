import { roles } from '../access.ts'
import { FILES } from './mail-settings.ts'
import { isDevelopment } from './read-settings.ts'
import type { Settings } from './settings.ts'

/**
 * Finds settings that are valid and seldom meant in production.
 * @returns a warning for each; none in development mode, which has a warning of its own
 */
export function riskySettings (settings: Settings): string[] {
  if (isDevelopment(settings)) return []
  const privileged = roles.filter(role => role !== 'user' && settings.SIGNUP_ROLES.includes(role))
  return [
    ...privileged.length > 0
      ? [`SIGNUP_ROLES lets anybody sign up as ${privileged.join(', ')}. Leave it unset, and assign roles as an admin.`]
      : [],
    ...settings.CORS_ORIGIN.includes('*')
      ? ['CORS_ORIGIN=* lets the pages of every origin call the service. Set it to the origins of your pages.']
      : [],
    ...settings.REAUTHENTICATION_WITHIN === 0
      ? ['REAUTHENTICATION_WITHIN=0 lets a session of any age delete the user and change others. Set it to minutes.']
      : [],
    ...settings.MAIL_URL === FILES
      ? ['MAIL_URL=files sends no mails, and logs their links, which are secrets. Set it to the URL of a mail server.']
      : []
  ]
}
