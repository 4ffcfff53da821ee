import { fileURLToPath } from 'node:url'
import { ORIGIN, RP_ID } from './authenticator.js'
import { SECRET, startService } from './service.js'

const file = path => fileURLToPath(new URL(path, import.meta.url))

/** gatehouse as shipped, except for the rate limits, which a benchmark exceeds, the roles of sign-ups, and passkeys. */
const UNLIMITED = {
  RATE_LIMIT_SIGNUP: '0',
  RATE_LIMIT_SIGNIN: '0',
  RATE_LIMIT_REFRESH: '0',
  // Counted, but never reached.
  RATE_LIMIT_REQUESTS: '1000000000',
  SIGNUP_ROLES: 'user,moderator,admin',
  PASSKEY_RP_ID: RP_ID,
  PASSKEY_ORIGINS: ORIGIN
}

const PEERS = {
  gatehouse: { path: '../dist/src/server.js', env: UNLIMITED },
  bare: { path: './peers/bare.js' },
  'fastify-jwt': { path: './peers/fastify-jwt.js' },
  'one-query': { path: './peers/one-query.js' },
  rotation: { path: './peers/rotation.js' },
  express: { path: './peers/express.js' },
  'better-auth': { path: './peers/better-auth.js' },
  'better-auth cookie': { path: './peers/better-auth.js', env: { COOKIE_CACHE: 'on' } }
}

/** Starts contestants by name, each as a process of its own over the same PostgreSQL. */
export async function startContestants (names, databaseUrl) {
  const services = {}
  for (const name of names) {
    const { path, env = {} } = PEERS[name]
    const settings = { DATABASE_URL: databaseUrl, JWT_SECRET: SECRET, ...env }
    services[name] = await startService(name, ['--enable-source-maps', file(path)], settings)
  }
  return services
}
