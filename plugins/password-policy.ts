import fp from 'fastify-plugin'
import type { Config } from '../src/config.ts'
import { ApiError } from '../src/errors.ts'
import { weaknessOf } from '../src/password-policy.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** @throws ApiError PASSWORD_WEAK with the reason, where PASSWORD_BLOCKLIST is on and the password is easy to guess */
    refuseWeakPassword (password: string, account: { username: string, email: string }): void
  }
}

export default fp<{ config: Config }>(async function passwordPolicy (fastify, { config }) {
  if (config.PASSWORD_BLOCKLIST === 'off') {
    fastify.decorate('refuseWeakPassword', () => {})
    return
  }
  // Imported only where it is wanted: unpacking its 49,000 passwords takes some 40 ms.
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  const long = dictionary['passwords-common'].filter(password => password.length >= config.PASSWORD_MIN_LENGTH)
  // Copied: a piece of a text keeps the whole text, with all the short ones, in memory.
  const common = new Set(structuredClone(long))

  fastify.decorate('refuseWeakPassword', (password, { username, email }) => {
    const reason = weaknessOf(password, [username, email, email.replace(/@.*/, ''), 'gatehouse', config.JWT_ISSUER], common)
    if (reason !== undefined) throw new ApiError('PASSWORD_WEAK', reason)
  })
}, { name: 'password-policy', fastify: '5.x' })
