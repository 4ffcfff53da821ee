import { fileURLToPath } from 'node:url'
import { SECRET, startService } from './service.js'

const file = path => fileURLToPath(new URL(path, import.meta.url))

/** gatehouse as shipped, but for the limits of requests, which a benchmark is made to exceed. */
const UNLIMITED = { RATE_LIMIT_SIGNUP: '0', RATE_LIMIT_SIGNIN: '0', RATE_LIMIT_REFRESH: '0', SIGNUP_ROLES: 'user,moderator,admin' }

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

/** Starts the contestants by name, each its own process over the same PostgreSQL. */
export async function startContestants (names, databaseUrl) {
  const services = {}
  for (const name of names) {
    const { path, env = {} } = PEERS[name]
    services[name] = await startService(name, ['--enable-source-maps', file(path)], { DATABASE_URL: databaseUrl, JWT_SECRET: SECRET, ...env })
  }
  return services
}
