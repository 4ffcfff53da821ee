import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The name of the file for the first five hexadecimal digits of a SHA-1. */
const fileOf = (dir: string, prefix: string): string => join(dir, `${prefix}.txt`)

/**
 * Checks that a folder has the range files of a list of breached passwords.
 * @throws Error if it has not
 */
export async function checkRanges (dir: string): Promise<void> {
  for (const prefix of ['0'.repeat(5), 'F'.repeat(5)]) {
    await readFile(fileOf(dir, prefix)).catch((cause: unknown) => {
      throw new Error(`PASSWORD_BREACHED_DIR has no file ${prefix}.txt. It must have all range files, 00000.txt to ` +
        'FFFFF.txt.', { cause })
    })
  }
}

/**
 * Whether a password is in a list of breached passwords, by range files on disk: `21BD1.txt` has a line with the rest
 * of the SHA-1 and a count for each password whose SHA-1 begins with 21BD1. No password leaves the machine.
 * @throws Error if a file is missing: what cannot be checked is not accepted
 */
export async function isBreached (dir: string, password: string): Promise<boolean> {
  const digest = createHash('sha1').update(password).digest('hex').toUpperCase()
  const range = await readFile(fileOf(dir, digest.slice(0, 5)), 'utf8')
  // Lines with the count 0 are padding.
  return new RegExp(`^${digest.slice(5)}:0*[1-9]`, 'im').test(range)
}
