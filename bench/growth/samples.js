import { HASH, PENDING } from './rows.js'

/** Users that the statements ask for. */
const SAMPLES = 100

const id = (kind, n) => `${kind}0000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`

const text = (kind, n) => `${kind}${String(n).padStart(42, '0')}`

/**
 * What the rows of one user hold, for the arguments of statements.
 * @param n a multiple of 10, so that the user has one of everything
 * @param i number of the execution, for names that are new
 */
const userOf = (n, i, size) => ({
  i,
  size,
  userId: n,
  username: `user${n}`,
  email: `user${n}@example.com`,
  former: `former${n}@example.com`,
  /** an admin, at least as far in the table */
  admin: Math.ceil(n / 100) * 100,
  /** a user who has a password, a role, a session and a network, and nothing else */
  plain: n + 1,
  credentialId: id('a', n),
  totpId: id('b', n),
  passkeyId: id('c', n),
  sessionId: id('0', n),
  keyId: id('2', n),
  newId: id('9', i),
  mailId: id('e', n),
  /** a mail that has yet to be sent */
  pendingId: id('f', Math.ceil(n / (size / PENDING)) * (size / PENDING)),
  hash: kind => text(kind, n),
  newHash: text('n', i),
  passwordHash: HASH
})

/** Users who are spread evenly over the table, with what their rows hold. */
export const samplesOf = size => Array.from({ length: SAMPLES }, (_, i) =>
  userOf(10 * (1 + Math.floor(i * size / 10 / SAMPLES)), i, size))
