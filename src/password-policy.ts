/** What a password needs of its own, beside the words that anybody would try first. */
const LEAST_OF_ITS_OWN = 6

/** Shorter parts of a name turn up in good passwords by chance. */
const SHORTEST_PART = 4

/** The words of an account that a guesser tries first: its names, and the parts of them. */
function wordsOf (names: readonly string[]): string[] {
  const whole = names.map(name => name.toLowerCase())
  const parts = whole.flatMap(name => name.split(/[^a-z0-9]+/)).filter(part => part.length >= SHORTEST_PART)
  return [...whole, ...parts].filter(word => word !== '').sort((a, b) => b.length - a.length)
}

/**
 * Why a new password is too easy to guess (NIST SP 800-63B-4 §3.1.1.2: a list of common passwords and words of the
 * context; no rules of composition, which people meet with the same few patterns).
 * @param names of the account and of the service
 * @param common in lower case
 * @returns what follows "the password is", or undefined where there is nothing against it
 */
export function weaknessOf (password: string, names: readonly string[], common: ReadonlySet<string>): string | undefined {
  const text = password.toLowerCase()
  if (common.has(text)) return 'one of the most common'
  const rest = wordsOf(names).reduce((left, word) => left.replaceAll(word, ''), text)
  if (rest !== text && rest.length < LEAST_OF_ITS_OWN) {
    return 'made of the username, the e-mail address or the name of the service'
  }
  return undefined
}
