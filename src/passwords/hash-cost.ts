/** The cost of an argon2 hash, by the parameters of its PHC string (github.com/P-H-C/phc-string-format). */
export interface HashCost {
  /** m, in KiB */
  memory: number
  /** t, passes over the memory */
  time: number
  /** p, lanes */
  parallelism: number
}

/**
 * The maximum cost of a stored hash that is verified: 256 MiB × 16 passes × 4 lanes, as much as the settings allow. A
 * more expensive hash, from a faulty import or planted in the table, would block a thread for minutes at every sign-in.
 */
export const MAX_COST: HashCost = { memory: 262144, time: 16, parallelism: 4 }

/** The maximum cost of a bcrypt hash: 2^15 rounds, which take about two seconds. */
export const MAX_BCRYPT_COST = 15

/** The maximum number of iterations of a PBKDF2 hash, over all blocks of its key: they take a few seconds. */
export const MAX_PBKDF2_ITERATIONS = 5_000_000

/** The maximum memory of a scrypt hash, in KiB, and the maximum of its memory times its parallelization parameter. */
export const MAX_SCRYPT_MEMORY = MAX_COST.memory
export const MAX_SCRYPT_WORK = MAX_COST.memory * MAX_COST.parallelism

// Salts of 8 to 48 bytes and hashes of 16 to 64: argon2 throws below its limits (RFC 9106 §3.1), and the length of the
// hash adds to the work.
const PHC = new RegExp('^\\$argon2id\\$v=19\\$m=([1-9]\\d{0,9}),t=([1-9]\\d{0,9}),p=([1-9]\\d{0,9})' +
  '\\$([A-Za-z0-9+/]{11,64})\\$([A-Za-z0-9+/]{22,86})$')

/** Whether an encoder writes this text. @node-rs/argon2 throws for other lengths, and for unused bits that are set. */
const isCanonical = (base64: string): boolean =>
  Buffer.from(base64, 'base64').toString('base64').replace(/=+$/, '') === base64

/** @returns undefined unless the text is an argon2id hash */
export function costOf (hash: string): HashCost | undefined {
  const [, memory, time, parallelism, salt, tag] = PHC.exec(hash) ?? []
  if (salt === undefined || tag === undefined || !isCanonical(salt) || !isCanonical(tag)) return undefined
  return { memory: Number(memory), time: Number(time), parallelism: Number(parallelism) }
}

/** Whether a text is an argon2id hash whose cost is possible (8 KiB per lane) and at most MAX_COST. */
export function isRunnable (hash: string): boolean {
  const cost = costOf(hash)
  return cost !== undefined && cost.memory >= 8 * cost.parallelism && cost.memory <= MAX_COST.memory &&
    cost.time <= MAX_COST.time && cost.parallelism <= MAX_COST.parallelism
}

/**
 * Whether a hash is not argon2id, or costs less than `target`. Expensive hashes are kept, so that lower settings never
 * weaken them.
 */
export function needsRehash (hash: string, target: HashCost): boolean {
  const cost = costOf(hash)
  return cost === undefined || cost.memory < target.memory || cost.time < target.time
}
