/** Characters a password must have beside those of the names it contains. */
const MIN_OWN_CHARACTERS = 6

/** Shorter parts of a name, and shorter words, occur in strong passwords by chance. */
const MIN_NAME_PART = 4

/** The names and their parts, which an attacker tries first; the longest come first. */
function wordsOf (names: readonly string[]): string[] {
  const full = names.map(name => name.toLowerCase())
  const parts = full.flatMap(name => name.split(/[^a-z0-9]+/)).filter(part => part.length >= MIN_NAME_PART)
  return [...full, ...parts].filter(word => word !== '').sort((a, b) => b.length - a.length)
}

/** The part that is repeated throughout a text, or the text itself. */
const unitOf = (text: string): string => /^(.+?)\1+$/s.exec(text)?.[1] ?? text

/** A password without what attackers add to words: repetitions, and digits and symbols at the ends. */
const coreOf = (text: string): string => unitOf(unitOf(text).replace(/^[^\p{L}]+|[^\p{L}]+$/gu, ''))

/**
 * Finds a reason why a new password is too easy to guess. As NIST SP 800-63B-4 §3.1.1.2 recommends, it is compared with
 * common passwords and with names from its context. There are no composition rules, which users satisfy with
 * predictable patterns.
 * @param names of the user and of the service
 * @param common passwords of any length, in lower case
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
  const core = coreOf(text)
  if (core.length >= MIN_NAME_PART && common.has(core)) return 'a common word with digits, symbols or repetitions'
  return undefined
}
