import { readFileSync } from 'node:fs'

/**
 * Reads the limit of open file descriptors of this process (`ulimit -n`).
 * @param file where Linux reports the limits
 * @returns infinity if the system reports no limit
 */
export function descriptorLimit (file = '/proc/self/limits'): number {
  try {
    const [, soft] = /^Max open files +(\d+)/m.exec(readFileSync(file, 'utf8')) ?? []
    return Number(soft ?? Infinity)
  } catch {
    return Infinity
  }
}
