import fp from 'fastify-plugin'
import type { Config } from '../src/config/read-settings.ts'
import { ApiError } from '../src/errors.ts'
import { weaknessOf } from '../src/passwords/strength.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** @throws ApiError PASSWORD_WEAK with the reason, if PASSWORD_BLOCKLIST is on and the password is easy to guess */
    rejectWeakPassword (password: string, user: { username: string, email: string }): void
  }
}

export default fp<{ config: Config }>(async function passwordPolicy (fastify, { config }) {
  if (config.PASSWORD_BLOCKLIST === 'off') {
    fastify.decorate('rejectWeakPassword', () => {})
    return
  }
  // Loaded on demand: unpacking its 49,000 passwords takes about 40 ms.
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  const candidates = dictionary['passwords-common'].filter(password => password.length >= config.PASSWORD_MIN_LENGTH)
  // Clone: V8 substrings keep their parent string alive.
  const common = new Set(structuredClone(candidates))

  fastify.decorate('rejectWeakPassword', (password, { username, email }) => {
    const names = [username, email, email.replace(/@.*/, ''), 'gatehouse', config.JWT_ISSUER]
    const reason = weaknessOf(password.normalize('NFKC'), names, common)
    if (reason !== undefined) throw new ApiError('PASSWORD_WEAK', reason)
  })
}, { name: 'password-policy', fastify: '5.x' })
