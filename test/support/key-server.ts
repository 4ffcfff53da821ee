import { once } from 'node:events'
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import type { Test } from 'tap'
import { privateKeys, toJwk } from './keys.ts'

// Stands for gatehouse where a test needs tokens and key sets that gatehouse would not issue.

type Algorithm = keyof typeof privateKeys

/** The claims of an access token of gatehouse for the server `orders`. A claim that is undefined is left out. */
export const claimsOf = (claims: Record<string, unknown> = {}) => {
  const now = Math.floor(Date.now() / 1000)
  return {
    sub: '7',
    id: 7,
    sid: '00000000-0000-4000-8000-000000000000',
    roles: ['user'],
    jti: 'a',
    auth_time: now,
    amr: ['pwd'],
    iat: now,
    exp: now + 60,
    iss: 'gatehouse',
    aud: 'orders',
    ...claims
  }
}

/** A signing key, and tokens that it signed. */
export function createIssuer (alg: Algorithm, kid: string) {
  const key = privateKeys[alg]()
  return {
    jwk: { ...toJwk(createPublicKey(key)), kid, alg, use: 'sig' } satisfies JsonWebKey,
    issue: async (claims?: Record<string, unknown>, header: object = {}): Promise<string> =>
      await new SignJWT(claimsOf(claims)).setProtectedHeader({ alg, kid, typ: 'at+jwt', ...header }).sign(key)
  }
}

/** A server of the keys, at gatehouse's path. */
export async function startKeyServer (t: Test, ...keys: JsonWebKey[]) {
  const state = { status: 200, text: JSON.stringify({ keys }), requests: 0 }
  const server = createServer((request, response) => {
    state.requests++
    response.writeHead(request.url?.endsWith('/.well-known/jwks.json') ? state.status : 404).end(state.text)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  t.teardown(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close,
    requests: () => state.requests,
    publish (...keys: JsonWebKey[]) { state.text = JSON.stringify({ keys }) },
    respond (status: number, text: string) { Object.assign(state, { status, text }) }
  }
}
