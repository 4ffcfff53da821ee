import { Secret, TOTP } from 'otpauth'
import type { Test } from 'tap'
import type { Config } from '../../src/config/read-settings.ts'
import { newEncryptionKey } from '../../src/tokens/encryption-keys.ts'
import { PASSWORD, type SignedIn, type TestApp } from './app.ts'
import { Authenticator, PASSKEY_SETTINGS } from './authenticator.ts'

/** The settings of a service with every second factor. */
export const FACTOR_SETTINGS = { ENCRYPTION_KEYS: [newEncryptionKey()], ...PASSKEY_SETTINGS } satisfies Partial<Config>

/** Seconds of a time step. */
const PERIOD = 30

/** The code of an authenticator app. @param steps from the current one */
export const codeOf = (secret: string, steps = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + steps * PERIOD * 1000 })

/** Waits until a time step has begun that leaves a test time. Codes of the step before are accepted in any case. */
export async function stepBegun (t?: Test, margin = 10): Promise<void> {
  const left = PERIOD - Date.now() / 1000 % PERIOD
  if (left >= margin) return
  t?.comment(`waits ${left.toFixed()} s for the next time step`)
  await new Promise(resolve => { setTimeout(resolve, left * 1000 + 50) })
}

export interface EnrolledTotp {
  secret: string
  recoveryCodes: string[]
  accessToken: string
}

/** Sets up an authenticator app, with the code of the previous step, so that the current one can be used. */
export async function enrolTotp ({ as }: TestApp, accessToken: string): Promise<EnrolledTotp> {
  // In the next step, the code of the previous one would be too old.
  await stepBegun(undefined, 2)
  const { secret } = (await as(accessToken, 'POST', '/api/users/me/totp')).json<{ secret: string }>()
  const response = await as(accessToken, 'PUT', '/api/users/me/totp', { code: codeOf(secret, -1) })
  if (response.status !== 200) throw new Error(JSON.stringify(response.body))
  return { secret, ...response.json<Omit<EnrolledTotp, 'secret'>>() }
}

export interface EnrolledPasskey {
  authenticator: Authenticator
  id: string
  name: string
  accessToken: string
  recoveryCodes?: string[]
}

/** Registers a passkey. */
export async function enrolPasskey (
  { as }: TestApp, accessToken: string, authenticator = new Authenticator()
): Promise<EnrolledPasskey> {
  const options = (await as(accessToken, 'POST', '/api/users/me/passkeys/options')).json<CreationOptions>()
  const response = await as(accessToken, 'POST', '/api/users/me/passkeys', { response: authenticator.create(options) })
  if (response.status !== 201) throw new Error(JSON.stringify(response.body))
  return { authenticator, ...response.json<Omit<EnrolledPasskey, 'authenticator'>>() }
}

export interface CreationOptions {
  challenge: string
  user: { id: string }
}

/** The first step of a sign-in. */
export async function challengeOf ({ post }: TestApp, name: string): Promise<string> {
  const response = await post('/api/auth/signin', { username: name, password: PASSWORD })
  if (response.status !== 401) throw new Error(JSON.stringify(response.body))
  return response.json<{ challenge: string }>().challenge
}

/** The second step of a sign-in. */
export const finish = async ({ post }: TestApp, challenge: string, factor: { code: string } | { passkey: object }) =>
  await post('/api/auth/signin/second-factor', { challenge, ...factor })

/** Signs up and in, and sets up an authenticator app. */
export async function signUpWithTotp (
  service: TestApp, name: string, roles?: string[]
): Promise<SignedIn & EnrolledTotp> {
  await service.signUp(name, roles)
  const signedIn = await service.signIn(name)
  return { ...signedIn, ...await enrolTotp(service, signedIn.accessToken) }
}

/** Signs up and in, and registers a passkey. */
export async function signUpWithPasskey (
  service: TestApp, name: string, roles?: string[]
): Promise<EnrolledPasskey & { userId: number, refreshToken: string }> {
  await service.signUp(name, roles)
  const { id: userId, accessToken, refreshToken } = await service.signIn(name)
  return { userId, refreshToken, ...await enrolPasskey(service, accessToken) }
}
