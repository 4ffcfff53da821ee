import { Authenticator } from './authenticator.js'
import { chain, pace, repeat, send, sendAll } from './load.js'

export const PASSWORD = 'correct horse'

/** Number of users who sign in. Many, because the sign-ins of one user are throttled and queued. */
const USERS = 64

const name = index => `bench${index}`

const parse = ({ status, body }, what) => {
  if (status !== 200 && status !== 201) throw new Error(`${what} failed with ${status}: ${body}`)
  return JSON.parse(body)
}

const signInAs = async (service, index) =>
  await send(service.origin, '/api/auth/signin', { body: { username: name(index), password: PASSWORD } })

/**
 * Creates the users of a service that has users, and signs an admin in: one more user, because a flood of sign-ins ends
 * the oldest sessions of the users it signs in.
 */
export async function prepare (service) {
  if (['bare', 'one-query', 'rotation'].includes(service.name)) return
  if (!['fastify-jwt', 'better-auth', 'better-auth cookie'].includes(service.name)) {
    for (let i = 0; i <= USERS; i++) {
      const roles = ['user', 'moderator', 'admin']
      const body = { username: name(i), email: `${name(i)}@example.com`, password: PASSWORD, roles }
      parse(await send(service.origin, '/api/auth/signup', { body }), `${service.name} sign-up`)
    }
  }
  const { cookie, accessToken } = parse(await signInAs(service, USERS), `${service.name} sign-in`)
  service.headers = cookie ? { cookie } : { 'x-access-token': accessToken }
  service.token = accessToken
  if (service.name !== 'gatehouse') return
  const created = await send(service.origin, '/api/keys', { token: accessToken, body: { name: 'bench' } })
  service.key = JSON.parse(created.body).key
}

const get = (path, text, headersOf = ({ headers }) => headers) => async (service, { seconds }) => {
  const url = `${service.origin}/api/${path}`
  const headers = headersOf(service)
  const response = await fetch(url, { headers })
  if (response.status !== 200 || await response.text() !== text) {
    throw new Error(`${service.name} responds ${response.status} to ${path}`)
  }
  return await repeat({ url, seconds, connections: 64, headers })
}

const testEndpoint = (path, text) => get(`test/${path}`, text, path === 'all' ? () => ({}) : undefined)

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
    tokens.push(parse(await signInAs(service, i), 'sign-in').refreshToken)
  }
  return await chain({
    origin: service.origin,
    path: '/api/auth/refreshtoken',
    seconds,
    connections: tokens.length,
    first: index => ({ refreshToken: tokens[index] }),
    next: (_body, { refreshToken }) => ({ refreshToken })
  })
}

let authenticators

/** Users of their own: one with a passkey no longer signs in with the password alone. */
async function registerPasskeys ({ origin }) {
  return await Promise.all(Array.from({ length: USERS }, async (_, index) => {
    const user = { username: `passkey${index}`, password: PASSWORD }
    parse(await send(origin, '/api/auth/signup', { body: { ...user, email: `${user.username}@example.com` } }), 'sign-up')
    const { accessToken: token } = parse(await send(origin, '/api/auth/signin', { body: user }), 'sign-in')
    const options = await send(origin, '/api/users/me/passkeys/options', { token, method: 'POST' })
    const authenticator = new Authenticator()
    const response = authenticator.create(parse(options, 'options of a passkey'))
    parse(await send(origin, '/api/users/me/passkeys', { token, body: { response } }), 'registration of a passkey')
    return authenticator
  }))
}

/**
 * Sign-ins with passkeys, each of two requests: one for the challenge, and one with its signature. A batch of
 * challenges is requested, signed and sent back. The time of the signatures, which devices make, does not count.
 */
async function passkeySignIn ({ origin, ...service }, { seconds }) {
  authenticators ??= await registerPasskeys({ origin, ...service })
  const connections = 16
  let ms = 0
  let succeeded = 0
  let failed = 0
  while (ms < seconds * 1000) {
    const requests = Array.from({ length: 512 }, () => ({}))
    const begun = await sendAll({ origin, path: '/api/auth/signin/passkey/options', bodies: requests, connections })
    const bodies = begun.responses.map(({ challenge }, index) =>
      ({ response: authenticators[index % USERS].get(challenge) }))
    const ended = await sendAll({ origin, path: '/api/auth/signin/passkey', bodies, connections })
    ms += begun.ms + ended.ms
    const { length } = ended.responses.filter(Boolean)
    succeeded += length
    failed += requests.length - length
  }
  return { rate: succeeded * 1000 / ms, failed }
}

let created = 0
const newUser = () => {
  const username = `new${process.pid}x${created++}`
  return { username, email: `${username}@example.com`, password: PASSWORD }
}

const signUp = async (service, { seconds }) => await chain({
  origin: service.origin, path: '/api/auth/signup', seconds, connections: 16, first: newUser, next: newUser
})

async function mix (service, { seconds }) {
  const flood = signIn(64)(service, { seconds })
  const { p50, p99, failed } = await pace({
    origin: service.origin, path: '/api/test/user', token: service.token, seconds, perSecond: 100
  })
  return { rate: p99, p50, failed: failed + (await flood).failed }
}

/** gatehouse's own /api/test/user, measured next to /api/test/admin for the cost of the role check. */
export const OWN_USER = 'gatehouse, test user'
export const ownUser = gatehouse => ({
  ...gatehouse,
  name: OWN_USER,
  run: async seconds => await testEndpoint('user', 'User Content.')(gatehouse, { seconds })
})

/** gatehouse's own sign-ins with a password, measured next to those with a passkey. */
export const OWN_SIGN_IN = 'gatehouse, sign-in 16'
export const ownSignIn = gatehouse => ({
  ...gatehouse,
  name: OWN_SIGN_IN,
  run: async seconds => await signIn(16)(gatehouse, { seconds })
})

/**
 * Every workload, with its contestants and the function that measures one round. The rate is in requests per second,
 * except for the mix: there it is the 99th percentile of the latency, in milliseconds.
 */
export const WORKLOADS = {
  'test all': { contestants: ['gatehouse', 'bare', 'express'], run: testEndpoint('all', 'Public Content.') },
  'test user': { contestants: ['gatehouse', 'fastify-jwt', 'express'], run: testEndpoint('user', 'User Content.') },
  'test admin': {
    contestants: ['gatehouse', OWN_USER, 'one-query', 'express', 'better-auth', 'better-auth cookie'],
    run: testEndpoint('admin', 'Admin Content.')
  },
  'API key': {
    contestants: ['gatehouse', OWN_USER],
    run: get('test/user', 'User Content.', ({ key }) => ({ 'x-api-key': key }))
  },
  check: { contestants: ['gatehouse', OWN_USER], run: get('auth/check', 'OK') },
  refresh: { contestants: ['gatehouse', 'rotation', 'express'], run: refresh },
  'sign-in 1': { contestants: ['gatehouse', 'express'], run: signIn(1) },
  'sign-in 16': { contestants: ['gatehouse', 'argon2', '@node-rs/argon2', 'express'], run: signIn(16) },
  'sign-in 64': { contestants: ['gatehouse', '@node-rs/argon2', 'express'], run: signIn(64) },
  'passkey sign-in': { contestants: ['gatehouse', OWN_SIGN_IN], run: passkeySignIn },
  'sign-up': { contestants: ['gatehouse', 'express'], run: signUp },
  mix: { contestants: ['gatehouse', 'express'], run: mix }
}

/** The minimum rate of gatehouse relative to another contestant. The mix has a target of its own. */
export const TARGETS = [
  ['test all', 'bare', 0.85],
  ['test user', 'fastify-jwt', 1.2],
  ['test user', 'express', 4],
  ['test admin', OWN_USER, 0.95],
  ['test admin', 'one-query', 2],
  ['test admin', 'express', 15],
  ['test admin', 'better-auth cookie', 8],
  ['API key', OWN_USER, 0.95],
  ['check', OWN_USER, 0.9],
  ['refresh', 'rotation', 0.9],
  ['refresh', 'express', 2.5],
  ['sign-in 16', '@node-rs/argon2', 0.9],
  ['sign-in 64', '@node-rs/argon2', 0.9],
  ['sign-in 16', 'express', 2.5],
  ['sign-in 64', 'express', 2.5],
  ['passkey sign-in', OWN_SIGN_IN, 20]
]

/** Maximum latency of /api/test/user in the mix, in milliseconds at the 99th percentile. */
export const MIX_P99 = 100
