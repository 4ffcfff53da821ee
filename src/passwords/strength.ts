/** Characters a password must have beside those of the names it contains. */
const MIN_OWN_CHARACTERS = 6

/** Shorter parts of a name occur in strong passwords by chance. */
const MIN_NAME_PART = 4

/** The names and their parts, which an attacker tries first; the longest come first. */
function wordsOf (names: readonly string[]): string[] {
  const full = names.map(name => name.toLowerCase())
  const parts = full.flatMap(name => name.split(/[^a-z0-9]+/)).filter(part => part.length >= MIN_NAME_PART)
  return [...full, ...parts].filter(word => word !== '').sort((a, b) => b.length - a.length)
}

/**
 * Finds a reason why a new password is too easy to guess. As NIST SP 800-63B-4 §3.1.1.2 recommends, it is compared with
 * common passwords and with names from its context. There are no composition rules, which users satisfy with
 * predictable patterns.
 * @param names of the user and of the service
 * @param common passwords in lower case
 * @returns what completes "The password is"; undefined if the password is acceptable
 */
export function weaknessOf (
  password: string,
  names: readonly string[],
  common: ReadonlySet<string>
): string | undefined {
  const text = password.toLowerCase()
  if (common.has(text)) return 'one of the most common'
  const rest = wordsOf(names).reduce((left, word) => left.replaceAll(word, ''), text)
  if (rest !== text && rest.length < MIN_OWN_CHARACTERS) {
    return 'made of the username, the e-mail address or the name of the service'
  }
  return undefined
}
