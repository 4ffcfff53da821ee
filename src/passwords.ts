/** The cost of one argon2 hash, as a PHC string writes it (github.com/P-H-C/phc-string-format). */
export interface HashCost {
  /** m, in KiB */
  memory: number
  /** t, passes over the memory */
  time: number
  /** p, lanes */
  parallelism: number
}

/**
 * The most a stored hash may cost to be run: 256 MiB × 16 passes × 4 lanes, far above any setting this service
 * takes. A row with more (a bad import, a planted hash) would hold a thread for minutes at every sign-in.
 */
export const COSTLIEST: HashCost = { memory: 262144, time: 16, parallelism: 4 }

// Costs above 0, a salt of 8 to 48 bytes and a hash of 16 to 64: argon2 throws below its limits (RFC 9106 §3.1), and
// the length of the hash is work as well.
const PHC =
  /^\$argon2id\$v=19\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,9})\$[A-Za-z0-9+/]{11,64}\$[A-Za-z0-9+/]{22,86}$/

/** The cost written in an argon2id hash; undefined for any other text. */
export function costOf (hash: string): HashCost | undefined {
  const [, memory, time, parallelism] = PHC.exec(hash) ?? []
  if (memory === undefined) return undefined
  return { memory: Number(memory), time: Number(time), parallelism: Number(parallelism) }
}

/** Whether a hash is argon2id, possible (a lane takes 8 KiB) and cheap enough to be run at all. */
export function isRunnable (hash: string): boolean {
  const cost = costOf(hash)
  return cost !== undefined && cost.memory >= 8 * cost.parallelism && cost.memory <= COSTLIEST.memory &&
    cost.time <= COSTLIEST.time && cost.parallelism <= COSTLIEST.parallelism
}

/**
 * Whether a hash was made with less than `wanted`. One made with more is kept: lowering the setting for new hashes
 * should not weaken the old ones.
 */
export function isWeaker (hash: string, wanted: HashCost): boolean {
  const cost = costOf(hash)
  return cost === undefined || cost.memory < wanted.memory || cost.time < wanted.time
}
