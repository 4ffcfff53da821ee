import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { checkRanges, isBreached } from '../src/passwords/breached.ts'
import { weaknessOf } from '../src/passwords/strength.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /**
     * Rejects a new password that is easy to guess (PASSWORD_BLOCKLIST), known to attackers (PASSWORD_BREACHED_DIR), or
     * too short once it is normalized: `e` and a combining accent are one character.
     * @throws ApiError PASSWORD_WEAK with the reason; Error if a file of PASSWORD_BREACHED_DIR is missing
     */
    rejectWeakPassword (password: string, user: { username: string, email: string }): Promise<void>
  }
}

/** Common passwords, of any length. */
async function loadCommon (): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  // Clone: V8 substrings keep their parent string alive.
  return new Set(structuredClone(dictionary['passwords-common']))
}

export default fp<{ config: Config }>(async function passwordPolicy (fastify, { config }) {
  const { PASSWORD_BREACHED_DIR: breached } = config
  // Loaded with the first new password: unpacking the 49,000 takes about 40 ms, which the start would take longer.
  let loading: Promise<ReadonlySet<string>> | undefined
  if (breached !== undefined) await checkRanges(breached)

  fastify.decorate('rejectWeakPassword', async (given, { username, email }) => {
    // As it is hashed (plugins/passwords.ts).
    const password = given.normalize('NFKC')
    if ([...password].length < config.PASSWORD_MIN_LENGTH) {
      throw new ApiError('PASSWORD_WEAK', `shorter than ${config.PASSWORD_MIN_LENGTH} characters in Unicode form NFKC`)
    }
    const names = [username, email, email.replace(/@.*/, ''), 'gatehouse', config.JWT_ISSUER]
    if (config.PASSWORD_BLOCKLIST === 'on') {
      const reason = weaknessOf(password, names, await (loading ??= loadCommon()))
      if (reason !== undefined) throw new ApiError('PASSWORD_WEAK', reason)
    }
    if (breached !== undefined && await isBreached(breached, password)) {
      throw new ApiError('PASSWORD_WEAK', 'known from a data breach')
    }
  })
}, { name: 'password-policy', fastify: '5.x' })
