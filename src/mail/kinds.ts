/** Every kind of mail, with the variables of its templates, `views/mails/KIND.txt` and `views/mails/KIND.html`. */
export const kinds = {
  /** to an address that a user has given, to prove that it is the user's */
  verification: ['username', 'link', 'code'],
  'password-reset': ['username', 'link', 'code'],
  /** to the new address of a user, to prove that it is the user's */
  'email-change': ['username', 'link', 'code'],
  /** to the old address of a user; the link undoes the change */
  'email-changed': ['username', 'link'],
  /** to the address of a user that was undone */
  'email-restored': ['username'],
  /** to the address of a user, which somebody has tried to use for another user */
  'email-taken': ['username'],
  'password-changed': ['username'],
  'password-was-reset': ['username'],
  /** `factor` names what was added or removed, such as “an authenticator app” */
  'second-factor-added': ['username', 'factor'],
  'second-factor-removed': ['username', 'factor'],
  /** by an admin */
  'second-factors-removed': ['username'],
  'recovery-codes-replaced': ['username'],
  /** `left` is the number of recovery codes that are left */
  'recovery-code-used': ['username', 'left']
} as const satisfies Record<string, readonly string[]>

export type MailKind = keyof typeof kinds

const isMailKind = (name: string): name is MailKind => Object.hasOwn(kinds, name)

export const kindNames: readonly MailKind[] = Object.keys(kinds).filter(isMailKind)
