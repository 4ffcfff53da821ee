interface Kind {
  /** Whether people other than the recipient can cause it, so that MAIL_RECIPIENT_LIMIT applies. */
  isLimited: boolean
  /** the variables of its templates */
  variables: readonly string[]
}

/** Every kind of mail. Its templates are `views/mails/KIND.txt` and `views/mails/KIND.html`. */
export const kinds = {
  /** to an address that a user has given, to prove that it is the user's */
  verification: { isLimited: true, variables: ['username', 'link', 'code'] },
  'password-reset': { isLimited: true, variables: ['username', 'link', 'code'] },
  /** to the new address of a user, to prove that it is the user's */
  'email-change': { isLimited: true, variables: ['username', 'link', 'code'] },
  /** to the old address of a user; the link undoes the change */
  'email-changed': { isLimited: false, variables: ['username', 'link'] },
  /** to the address of a user that was undone */
  'email-restored': { isLimited: false, variables: ['username'] },
  /** to the address of a user, which somebody has tried to use for another user */
  'email-taken': { isLimited: true, variables: ['username'] },
  'password-changed': { isLimited: false, variables: ['username'] },
  'password-was-reset': { isLimited: false, variables: ['username'] },
  /** `factor` names what was added or removed, such as “an authenticator app” */
  'second-factor-added': { isLimited: false, variables: ['username', 'factor'] },
  'second-factor-removed': { isLimited: false, variables: ['username', 'factor'] },
  /** by an admin */
  'second-factors-removed': { isLimited: false, variables: ['username'] },
  'recovery-codes-replaced': { isLimited: false, variables: ['username'] },
  /** `left` is the number of recovery codes that are left */
  'recovery-code-used': { isLimited: false, variables: ['username', 'left'] }
} as const satisfies Record<string, Kind>

export type MailKind = keyof typeof kinds

export const isMailKind = (name: string): name is MailKind => Object.hasOwn(kinds, name)

export const kindNames: readonly MailKind[] = Object.keys(kinds).filter(isMailKind)
