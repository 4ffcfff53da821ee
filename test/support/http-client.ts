import { PASSWORD, type SignedIn } from './app.ts'

interface Request {
  method?: string
  /** an access token */
  token?: string
  /** sent as JSON, by POST unless `method` says otherwise */
  body?: object
}

/** Sends a request to a service that runs as a process of its own. */
export async function send<Body = Record<string, unknown>> (url: string, { method, token, body }: Request = {}) {
  const response = await fetch(url, {
    method: method ?? (body ? 'POST' : 'GET'),
    headers: { ...token && { authorization: `Bearer ${token}` }, ...body && { 'content-type': 'application/json' } },
    ...body && { body: JSON.stringify(body) }
  })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json')
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as Body }
}

/** @returns the status and the body */
export async function signUp (address: string, username: string, roles = ['user']) {
  const { status, body } = await send(`${address}/api/auth/signup`, {
    body: { username, email: `${username}@example.com`, password: PASSWORD, roles }
  })
  return { status, body }
}

export const signIn = async (address: string, username: string, password = PASSWORD) =>
  await send<SignedIn & { username: string, roles: string[] }>(`${address}/api/auth/signin`, {
    body: { username, password }
  })

/** The id of the key that signed a token. */
export function kidOf (token: string): string {
  const header = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }
  return header.kid
}
