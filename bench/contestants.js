import { availableParallelism } from 'node:os'
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

const WORKERS = String(availableParallelism())
const gatehouse = '../dist/src/server.js'

/**
 * Servers by name. Users are created on those with `signsUp`, and one of them is signed in on those with `signsIn`. All
 * keep idle database connections for a minute, as gatehouse does: two rounds of one server may be that far apart.
 */
const PEERS = {
  gatehouse: { path: gatehouse, env: UNLIMITED, signsUp: true, signsIn: true },
  'gatehouse cluster': { path: gatehouse, env: { ...UNLIMITED, WORKERS }, signsUp: true, signsIn: true },
  bare: { path: './peers/bare.js' },
  'fastify-jwt': { path: './peers/fastify-jwt.js', signsIn: true },
  'one-query': { path: './peers/one-query.js' },
  'hot-rotation': { path: './peers/hot-rotation.js' },
  argon2: { path: './peers/argon2-loop.js', env: { PACKAGE: 'argon2' } },
  '@node-rs/argon2': { path: './peers/argon2-loop.js', env: { PACKAGE: '@node-rs/argon2' } },
  express: { path: './peers/express.js', signsUp: true, signsIn: true },
  'express cluster': { path: './peers/express-cluster.js', env: { WORKERS }, signsUp: true, signsIn: true },
  'better-auth': { path: './peers/better-auth.js', signsIn: true },
  'better-auth cookie': { path: './peers/better-auth.js', env: { COOKIE_CACHE: 'on' }, signsIn: true },
  'better-auth JWT': { path: './peers/better-auth.js', env: { JWT: 'on' }, signsIn: true }
}

/**
 * Starts a contestant as a process of its own.
 * @param {string} name
 * @param {string} databaseUrl of a database that it does not share with other contestants
 * @param {import('./nodes.js').Node} [node] by default that of this process
 */
export async function startContestant (name, databaseUrl, node) {
  const { path, env, signsUp = false, signsIn = false } = PEERS[name]
  const settings = { DATABASE_URL: databaseUrl, JWT_SECRET: SECRET, ...env }
  const service = await startService(name, ['--enable-source-maps', file(path)], settings, node?.path)
  return { ...service, signsUp, signsIn }
}
