import { Authenticator } from './authenticator.js'
import { send } from './load.js'

export const PASSWORD = 'correct horse'

/** Number of users who sign in. Many, because the sign-ins of one user are throttled and queued. */
const USERS = 64

const nameOf = index => `bench${index}`

/** The body of a sign-in. */
export const credentials = index => ({ username: nameOf(index % USERS), password: PASSWORD })

const parse = ({ status, body }, what) => {
  if (status !== 200 && status !== 201) throw new Error(`${what} failed with ${status}: ${body}`)
  return JSON.parse(body)
}

/**
 * Creates the users of a service that has users, and signs an admin in: one more user, because a flood of sign-ins ends
 * the oldest sessions of the users it signs in.
 */
export async function prepare (service) {
  const { name, origin, signsUp, signsIn } = service
  const users = signsUp ? USERS + 1 : 0
  for (let i = 0; i < users; i++) {
    const roles = ['user', 'moderator', 'admin']
    const body = { username: nameOf(i), email: `${nameOf(i)}@example.com`, password: PASSWORD, roles }
    parse(await send(origin, '/api/auth/signup', { body }), `${name} sign-up`)
  }
  if (!signsIn) return
  const body = { username: nameOf(USERS), password: PASSWORD }
  const { cookie, accessToken } = parse(await send(origin, '/api/auth/signin', { body }), `${name} sign-in`)
  service.headers = cookie ? { cookie } : { 'x-access-token': accessToken }
  service.token = accessToken
  if (name !== 'gatehouse') return
  const created = await send(origin, '/api/keys', { token: accessToken, body: { name: 'bench' } })
  service.key = parse(created, 'creation of an API key').key
}

/** @returns {Promise<string[]>} the refresh tokens of sessions of as many users */
export async function signInSome ({ name, origin }) {
  const tokens = []
  for (let i = 0; i < 32; i++) {
    const signedIn = await send(origin, '/api/auth/signin', { body: credentials(i) })
    tokens.push(parse(signedIn, `${name} sign-in`).refreshToken)
  }
  return tokens
}

/**
 * Users of their own: one with a passkey no longer signs in with the password alone.
 * @returns {Promise<Authenticator[]>}
 */
export async function registerPasskeys (service) {
  const { origin } = service
  service.authenticators ??= await Promise.all(Array.from({ length: USERS }, async (_, index) => {
    const user = { username: `passkey${index}`, password: PASSWORD }
    parse(await send(origin, '/api/auth/signup', { body: { ...user, email: `${user.username}@example.com` } }), 'sign-up')
    const { accessToken: token } = parse(await send(origin, '/api/auth/signin', { body: user }), 'sign-in')
    const options = await send(origin, '/api/users/me/passkeys/options', { token, method: 'POST' })
    const authenticator = new Authenticator()
    const response = authenticator.create(parse(options, 'options of a passkey'))
    parse(await send(origin, '/api/users/me/passkeys', { token, body: { response } }), 'registration of a passkey')
    return authenticator
  }))
  return service.authenticators
}
