const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/i

export const isLoopback = (host: string): boolean => LOOPBACK.test(host)

/**
 * What contradicts development mode. A deployment whose DATABASE_URL is lost, for example because a Secret lacks it,
 * must not start with a new database in which anybody may sign up as admin.
 * @param env name to text, without DATABASE_URL
 * @returns a fault for each contradiction, with what to do
 */
export function developmentFaults (env: Record<string, string | undefined>): string[] {
  const { HOST, SIGNUP_ROLES, NODE_ENV } = env
  const production = ['JWT_SECRET', 'JWT_KEYS_FILE', 'ENCRYPTION_KEYS'].filter(name => env[name])
  if (NODE_ENV === 'production') production.push('NODE_ENV')
  const isExposed = HOST && !isLoopback(HOST) && !SIGNUP_ROLES
  return [
    ...production.length > 0 ? [`DATABASE_URL must be set; for development mode, unset ${production.join(', ')}`] : [],
    ...isExposed
      ? ['HOST must be a loopback address in development mode, in which anybody may sign up as admin; set ' +
         'DATABASE_URL, HOST=127.0.0.1 or SIGNUP_ROLES=user']
      : []
  ]
}
