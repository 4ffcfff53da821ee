import { chain, pace, repeat, send, sendAll } from './load.js'
import { credentials, PASSWORD, registerPasskeys, signInSome } from './prepare.js'

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

const signIn = connections => async ({ origin }, { seconds }) => await chain({
  origin, path: '/api/auth/signin', seconds, connections, first: credentials, next: body => body
})

const refresh = async ({ origin }, { seconds, prepared: tokens }) => await chain({
  origin,
  path: '/api/auth/refreshtoken',
  seconds,
  connections: tokens.length,
  first: index => ({ refreshToken: tokens[index] }),
  next: (_body, { refreshToken }) => ({ refreshToken })
})

/**
 * Sign-ins with passkeys, each of two requests: one for the challenge, and one with its signature. A batch of
 * challenges is requested, signed and sent back. The time of the signatures, which devices make, does not count.
 */
async function passkeySignIn ({ origin }, { seconds, prepared: authenticators }) {
  const connections = 16
  let ms = 0
  let succeeded = 0
  let failed = 0
  while (ms < seconds * 1000) {
    const requests = Array.from({ length: 512 }, () => ({}))
    const begun = await sendAll({ origin, path: '/api/auth/signin/passkey/options', bodies: requests, connections })
    const bodies = begun.responses.map(({ challenge }, index) =>
      ({ response: authenticators[index % authenticators.length].get(challenge) }))
    const ended = await sendAll({ origin, path: '/api/auth/signin/passkey', bodies, connections })
    ms += begun.ms + ended.ms
    const { length } = ended.responses.filter(Boolean)
    succeeded += length
    failed += requests.length - length
  }
  return { value: succeeded * 1000 / ms, requests: succeeded, failed }
}

let created = 0
const newUser = () => {
  const username = `new${process.pid}x${created++}`
  return { username, email: `${username}@example.com`, password: PASSWORD }
}

const signUp = async ({ origin }, { seconds }) => await chain({
  origin, path: '/api/auth/signup', seconds, connections: 16, first: newUser, next: newUser
})

async function mix (service, { seconds }) {
  const flood = signIn(64)(service, { seconds })
  const { p99, failed } = await pace({
    origin: service.origin, path: '/api/test/user', token: service.token, seconds, perSecond: 100
  })
  return { value: p99, failed: failed + (await flood).failed }
}

/** A start on the migrated database of the running service. CPU and memory are those of the new process. */
async function start (service) {
  const another = await service.startAnother()
  const measured = { value: another.startMs, cpu: another.cpu(), requests: 1, memory: another.memory(), failed: 0 }
  await another.stop()
  return measured
}

async function argon2 ({ origin }, { seconds }) {
  const { body } = await send(origin, `/verifications?seconds=${seconds}`)
  const { verified } = JSON.parse(body)
  return { value: verified / seconds, requests: verified, failed: 0 }
}

const TEST_USER = 'gatehouse, test user'
const SIGN_IN = 'gatehouse, sign-in 16'

/**
 * Contestants of which something else is measured than the workload: gatehouse's own `test user`, next to which the
 * cost of a role check shows, its sign-ins with a password, and verifications without a sign-in.
 */
export const OTHERS = {
  [TEST_USER]: { service: 'gatehouse', run: testEndpoint('user', 'User Content.') },
  [SIGN_IN]: { service: 'gatehouse', run: signIn(16) },
  argon2: { service: 'argon2', run: argon2 },
  '@node-rs/argon2': { service: '@node-rs/argon2', run: argon2 }
}

/**
 * Every workload, with its contestants and the function that measures one round. The value is in requests per second,
 * except with a unit: the mix has the 99th percentile of the latency, and the start the time until the first response.
 */
export const WORKLOADS = {
  start: { contestants: ['gatehouse'], run: start, unit: 'ms', rounds: 11 },
  'test all': { contestants: ['gatehouse', 'bare', 'express'], run: testEndpoint('all', 'Public Content.') },
  'test user': {
    contestants: ['gatehouse', 'fastify-jwt', 'express', 'gatehouse cluster', 'express cluster'],
    run: testEndpoint('user', 'User Content.')
  },
  'test admin': {
    contestants: ['gatehouse', TEST_USER, 'one-query', 'express', 'better-auth', 'better-auth cookie', 'better-auth JWT'],
    run: testEndpoint('admin', 'Admin Content.')
  },
  'API key': {
    contestants: ['gatehouse', TEST_USER],
    run: get('test/user', 'User Content.', ({ key }) => ({ 'x-api-key': key }))
  },
  check: { contestants: ['gatehouse', TEST_USER], run: get('auth/check', 'OK') },
  refresh: {
    contestants: ['gatehouse', 'hot-rotation', 'express', 'gatehouse cluster', 'express cluster'],
    before: signInSome,
    run: refresh
  },
  'sign-in 1': { contestants: ['gatehouse', 'express'], run: signIn(1) },
  'sign-in 16': {
    contestants: ['gatehouse', 'argon2', '@node-rs/argon2', 'express', 'gatehouse cluster', 'express cluster'],
    run: signIn(16)
  },
  'sign-in 64': { contestants: ['gatehouse', '@node-rs/argon2', 'express'], run: signIn(64) },
  'passkey sign-in': { contestants: ['gatehouse', SIGN_IN], before: registerPasskeys, run: passkeySignIn },
  'sign-up': { contestants: ['gatehouse', 'express'], run: signUp },
  mix: { contestants: ['gatehouse', 'express'], run: mix, unit: 'ms' }
}
