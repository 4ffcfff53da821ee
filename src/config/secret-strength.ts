/** Bytes of an HMAC-SHA-256 key (RFC 7518 §3.2). */
const MIN_BYTES = 32

/** 32 random bytes in hexadecimal have fewer with a probability of 10⁻¹². */
const MIN_CHARACTERS = 10

/** The examples of this repository, and what other documents put in the place of a secret. */
const EXAMPLE = /change[-_ ]?(me|this)|place[-_ ]?holder|your[-_ ]?(\w+[-_ ])?(secret|key)|openssl[-_ ]rand/i

/** The rule, as it completes "must be". */
export const SECRET_RULE =
  `at least ${MIN_BYTES} bytes with ${MIN_CHARACTERS} different characters, not repetitive and not an example`

/**
 * Whether a text may be the secret that signs tokens. Only texts with next to no entropy are rejected: nothing can tell
 * that a text is random.
 */
export function isStrongSecret (text: string): boolean {
  return Buffer.byteLength(text) >= MIN_BYTES && new Set(text).size >= MIN_CHARACTERS && !isRepetitive(text) &&
    !EXAMPLE.test(text)
}

/** Whether a text is a block that is repeated, whose last repetition may be cut off. */
const isRepetitive = (text: string): boolean =>
  Array.from({ length: Math.floor(text.length / 2) }, (_, index) => text.slice(index + 1))
    .some(rest => text.startsWith(rest))
