import type { Config } from '../config/read-settings.ts'
import type { Purpose } from '../tokens/email-secrets.ts'

/** The paths of the service's own pages, below PUBLIC_URL. */
export const pagePaths = { verify: '/email/verify', undo: '/email/undo', reset: '/password/reset' } as const

/**
 * The pages that mails link to: those of a front-end, or the service's own. Never on the host of a request, which a
 * client can choose.
 */
export function linksOf (config: Config): Record<Purpose, string> {
  const own = (path: string) => `${config.PUBLIC_URL ?? ''}${path}`
  return {
    verification: config.MAIL_LINK_VERIFICATION ?? own(pagePaths.verify),
    'password-reset': config.MAIL_LINK_PASSWORD_RESET ?? own(pagePaths.reset),
    'email-change': config.MAIL_LINK_EMAIL_CHANGE ?? own(pagePaths.verify),
    undo: config.MAIL_LINK_UNDO ?? own(pagePaths.undo)
  }
}
