import { chain, pace, repeat, send } from './load.js'

export const PASSWORD = 'correct horse'

/** Accounts that sign in: many, because the guesses of one account are counted and its sign-ins wait for each other. */
const ACCOUNTS = 64

const name = index => `bench${index}`

const parse = ({ status, body }, what) => {
  if (status !== 200) throw new Error(`${what} answered ${status}: ${body}`)
  return JSON.parse(body)
}

/**
 * Makes the accounts of a service that has accounts, and gives it an admin's access token: of one account more, as a
 * flood of sign-ins ends the oldest sessions of the accounts it signs in.
 */
export async function prepare (service) {
  if (['bare', 'one-query', 'rotation'].includes(service.name)) return
  if (!['fastify-jwt', 'better-auth', 'better-auth cookie'].includes(service.name)) {
    for (let i = 0; i <= ACCOUNTS; i++) {
      const body = { username: name(i), email: `${name(i)}@example.com`, password: PASSWORD, roles: ['user', 'moderator', 'admin'] }
      parse(await send(service.origin, '/api/auth/signup', { body }), `${service.name} sign-up`)
    }
  }
  const reply = parse(await send(service.origin, '/api/auth/signin', { body: { username: name(ACCOUNTS), password: PASSWORD } }), `${service.name} sign-in`)
  service.headers = reply.cookie ? { cookie: reply.cookie } : { 'x-access-token': reply.accessToken }
  service.token = reply.accessToken
}

const board = (path, text) => async (service, { seconds }) => {
  const url = `${service.origin}/api/test/${path}`
  const headers = path === 'all' ? {} : service.headers
  const shown = await fetch(url, { headers })
  if (shown.status !== 200 || await shown.text() !== text) throw new Error(`${service.name} does not answer ${path}: ${shown.status}`)
  return await repeat({ url, seconds, connections: 64, headers })
}

const signIn = connections => async (service, { seconds }) => await chain({
  origin: service.origin,
  path: '/api/auth/signin',
  seconds,
  connections,
  first: index => ({ username: name(index), password: PASSWORD }),
  next: body => body
})

async function refresh (service, { seconds }) {
  const tokens = []
  for (let i = 0; i < 32; i++) {
    tokens.push(parse(await send(service.origin, '/api/auth/signin', { body: { username: name(i), password: PASSWORD } }), 'sign-in').refreshToken)
  }
  return await chain({
    origin: service.origin,
    path: '/api/auth/refreshtoken',
    seconds,
    connections: tokens.length,
    first: index => ({ refreshToken: tokens[index] }),
    next: (_body, reply) => ({ refreshToken: reply.refreshToken })
  })
}

let made = 0
const newcomer = () => {
  const username = `new${process.pid}x${made++}`
  return { username, email: `${username}@example.com`, password: PASSWORD }
}

const signUp = async (service, { seconds }) => await chain({
  origin: service.origin, path: '/api/auth/signup', seconds, connections: 16, first: newcomer, next: newcomer
})

async function mix (service, { seconds }) {
  const flood = signIn(64)(service, { seconds })
  const { p50, p99, failed } = await pace({ origin: service.origin, path: '/api/test/user', token: service.token, seconds, perSecond: 100 })
  return { rate: p99, p50, failed: failed + (await flood).failed }
}

/** gatehouse's own board `user`, measured beside its board `admin`: what the check of a role costs. */
export const OWN_USER = 'gatehouse, board user'
export const ownUser = gatehouse => ({ ...gatehouse, name: OWN_USER, run: async seconds => await board('user', 'User Content.')(gatehouse, { seconds }) })

/**
 * Every workload: who runs it, and how a round of it is measured. `rate` is a second, but for the mix: the 99th
 * percentile of the paced board in milliseconds.
 */
export const WORKLOADS = {
  'board all': { contestants: ['gatehouse', 'bare', 'express'], run: board('all', 'Public Content.') },
  'board user': { contestants: ['gatehouse', 'fastify-jwt', 'express'], run: board('user', 'User Content.') },
  'board admin': { contestants: ['gatehouse', OWN_USER, 'one-query', 'express', 'better-auth', 'better-auth cookie'], run: board('admin', 'Admin Content.') },
  refresh: { contestants: ['gatehouse', 'rotation', 'express'], run: refresh },
  'sign-in 1': { contestants: ['gatehouse', 'express'], run: signIn(1) },
  'sign-in 16': { contestants: ['gatehouse', 'argon2', '@node-rs/argon2', 'express'], run: signIn(16) },
  'sign-in 64': { contestants: ['gatehouse', '@node-rs/argon2', 'express'], run: signIn(64) },
  'sign-up': { contestants: ['gatehouse', 'express'], run: signUp },
  mix: { contestants: ['gatehouse', 'express'], run: mix }
}

/** What gatehouse has to reach: at least so many times the other's rate. The mix has a bound of its own. */
export const BARS = [
  ['board all', 'bare', 0.85],
  ['board user', 'fastify-jwt', 1.2],
  ['board user', 'express', 4],
  ['board admin', OWN_USER, 0.95],
  ['board admin', 'one-query', 2],
  ['board admin', 'express', 15],
  ['board admin', 'better-auth cookie', 8],
  ['refresh', 'rotation', 0.9],
  ['refresh', 'express', 2.5],
  ['sign-in 16', '@node-rs/argon2', 0.9],
  ['sign-in 64', '@node-rs/argon2', 0.9],
  ['sign-in 16', 'express', 2.5],
  ['sign-in 64', 'express', 2.5]
]

/** The slowest that the paced board of the mix may be, in milliseconds at the 99th percentile. */
export const MIX_P99 = 100
