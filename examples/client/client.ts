import createClient, { type Middleware } from 'openapi-fetch'
import type { paths } from './schema.js'

interface Tokens {
  accessToken: string
  refreshToken: string
}

/** A client that adds the access token to requests, and repeats them with a new one when it has expired. */
export function connect (baseUrl: string) {
  const client = createClient<paths>({ baseUrl })
  let tokens: Tokens | undefined
  let refreshing: Promise<Tokens | undefined> | undefined

  /** Refreshes once at a time. Concurrent requests share the result. */
  const refresh = async (): Promise<Tokens | undefined> =>
    await (refreshing ??= exchange().finally(() => { refreshing = undefined }))

  async function exchange (): Promise<Tokens | undefined> {
    if (!tokens) return undefined
    const { data, response } = await client.POST('/api/auth/refreshtoken', { body: { refreshToken: tokens.refreshToken } })
    // A 503 is temporary, so the tokens are kept.
    if (data || response.status === 403) tokens = data
    return data
  }

  // Sending a request uses up its body, so a copy is kept until the response arrives.
  const copies = new Map<string, Request>()

  const authorize: Middleware = {
    onRequest ({ request, id }) {
      if (tokens) request.headers.set('authorization', `Bearer ${tokens.accessToken}`)
      copies.set(id, request.clone())
    },
    onError ({ id }) {
      copies.delete(id)
    },
    async onResponse ({ id, response }) {
      const again = copies.get(id)
      copies.delete(id)
      if (response.status !== 401 || !again) return
      const { code } = await response.clone().json()
      if (code !== 'ACCESS_TOKEN_EXPIRED') return
      const fresh = await refresh()
      if (!fresh) return
      again.headers.set('authorization', `Bearer ${fresh.accessToken}`)
      return await fetch(again)
    }
  }
  client.use(authorize)

  return {
    ...client,
    /** Signs in. @returns the error code, if the sign-in failed */
    async signIn (username: string, password: string) {
      const { data, error } = await client.POST('/api/auth/signin', { body: { username, password } })
      tokens = data
      return error?.code
    },
    async signOut () {
      if (tokens) await client.POST('/api/auth/signout', { body: { refreshToken: tokens.refreshToken } })
      tokens = undefined
    }
  }
}
