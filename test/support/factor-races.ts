import type { Test } from 'tap'
import { createDatabase, startApp, type TestApp } from './app.ts'
import { challengeOf, FACTOR_SETTINGS, finish } from './factors.ts'

export const ROUNDS = 30
export const PARALLEL = 20

export type Response = Awaited<ReturnType<TestApp['post']>>

/** Two instances over one database, with limits that the tests do not reach. */
export async function openTwo (t: Test, maxPasskeys = 20) {
  const settings = {
    ...FACTOR_SETTINGS,
    DATABASE_URL: await createDatabase(t),
    SIGNIN_MAX_FAILURES: 1_000_000,
    RATE_LIMIT_SIGNIN_FAILURES: 0,
    MAX_SESSIONS_PER_USER: 10_000,
    MAX_PASSKEYS: maxPasskeys
  }
  const [here, there] = [await startApp(t, settings), await startApp(t, settings)]

  return {
    here,
    there,
    /** Sends requests at once, alternately to the two instances. @returns how often each response came */
    async race (send: (service: TestApp, index: number) => Promise<Response>, count = PARALLEL) {
      const responses = await Promise.all(Array.from({ length: count }, async (_, index) =>
        await send(index % 2 ? here : there, index)))
      const tally: Record<string, number> = {}
      for (const { status, json } of responses) {
        const outcome = status < 300 ? String(status) : `${status} ${json<{ code: string }>().code}`
        tally[outcome] = (tally[outcome] ?? 0) + 1
      }
      return tally
    },
    /** A challenge for each request. */
    challenges: async (name: string) => await Promise.all(Array.from({ length: PARALLEL }, async (_, index) =>
      await challengeOf(index % 2 ? here : there, name))),
    /** What the database holds of a user. */
    async stateOf (userId: number) {
      const [state] = await here.sql<Record<'sessions' | 'challenges' | 'recoveryCodes', number> & { stepAccepted: boolean }>(
        `SELECT (SELECT count(*)::int FROM refresh_tokens WHERE user_id = $1) AS sessions,
          (SELECT count(*)::int FROM challenges WHERE user_id = $1) AS challenges,
          (SELECT jsonb_array_length(data -> 'hashes') FROM credentials WHERE user_id = $1 AND kind = 'recovery_codes')
            AS "recoveryCodes",
          (SELECT (data ->> 'lastStep')::bigint > 0 FROM credentials WHERE user_id = $1 AND kind = 'totp') AS "stepAccepted"`,
        [userId])
      return state
    },
    /** Forgets the challenges and the last step of a user, so that the code of the current step is new again. */
    async rewind (userId: number): Promise<void> {
      await here.sql('DELETE FROM challenges WHERE user_id = $1', [userId])
      await here.sql(`UPDATE credentials SET data = jsonb_set(data, '{lastStep}', '0')
        WHERE user_id = $1 AND kind = 'totp'`, [userId])
    }
  }
}

/** The ways to sign in with a passkey: what gives the challenge, and what takes the response. */
export const PASSKEY_SIGN_INS = {
  'without a password': {
    begin: async ({ post }: TestApp) =>
      (await post('/api/auth/signin/passkey/options', undefined)).json<{ challenge: string }>().challenge,
    end: async ({ post }: TestApp, _challenge: string, response: object) => await post('/api/auth/signin/passkey', { response })
  },
  'after the password': {
    begin: async (service: TestApp) => await challengeOf(service, 'ada'),
    end: async (service: TestApp, challenge: string, passkey: object) => await finish(service, challenge, { passkey })
  }
}
