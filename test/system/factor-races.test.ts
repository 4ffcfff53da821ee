import { test, type Test } from 'tap'
import { hashRecoveryCode, newRecoveryCodes } from '../../src/factors/recovery-codes.ts'
import { createDatabase, PASSWORD, type SignedIn, startApp, type TestApp } from '../support/app.ts'
import { Authenticator } from '../support/authenticator.ts'
import {
  challengeOf, codeOf, type CreationOptions, enrolPasskey, FACTOR_SETTINGS, finish, signUpWithPasskey, signUpWithTotp
} from '../support/factors.ts'
import { until } from '../support/wait.ts'

const ROUNDS = 30
const PARALLEL = 20
const OUTLINE = `of ${PARALLEL} parallel uses`
const DETAIL = `${ROUNDS} rounds on two instances`

type Response = Awaited<ReturnType<TestApp['post']>>

/** Two instances over one database, with limits that the tests do not reach. */
async function openTwo (t: Test, maxPasskeys = 20) {
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

/** Without the losers of a race for a challenge and a code, which meet either of the two first. */
function withoutLosers ({
  '401 CODE_INVALID': codes = 0, '401 CHALLENGE_INVALID': challenges = 0, ...others
}: Record<string, number>) {
  return { ...others, losers: codes + challenges }
}

test(`${OUTLINE} of one TOTP code, each with a challenge of its own, one succeeds, ${DETAIL}`, async t => {
  const { here, race, challenges, stateOf, rewind } = await openTwo(t)
  const { id, secret } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const own = await challenges('ada')
    const code = codeOf(secret)
    const tally = await race(async (service, index) => await finish(service, own[index] ?? '', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: PARALLEL - 1, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one TOTP code with one challenge, one succeeds, ${DETAIL}`, async t => {
  const { here, race, stateOf, rewind } = await openTwo(t)
  const { id, secret } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const challenge = await challengeOf(here, 'ada')
    const code = codeOf(secret)
    const tally = await race(async service => await finish(service, challenge, { code }))
    t.strictSame([withoutLosers(tally), await stateOf(id)], [{ 200: 1, losers: PARALLEL - 1 }, {
      sessions: 1 + round, challenges: 0, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one TOTP code to reauthenticate, one succeeds, ${DETAIL}`, async t => {
  const { here, race, stateOf, rewind } = await openTwo(t)
  const { id, secret, accessToken } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const code = codeOf(secret)
    const tally = await race(async service => await service.as(accessToken, 'POST', '/api/auth/reauthenticate', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1, challenges: 0, recoveryCodes: 10, stepAccepted: true
    }], `round ${round}`)
  }
})

/** Gives a user as many recovery codes as a race takes. */
async function giveRecoveryCodes ({ sql }: TestApp, userId: number): Promise<string[]> {
  const codes = [...newRecoveryCodes(), ...newRecoveryCodes()]
  await sql(`UPDATE credentials SET data = jsonb_build_object('hashes', to_jsonb($2::text[]))
    WHERE user_id = $1 AND kind = 'recovery_codes'`, [userId, codes.map(hashRecoveryCode)])
  return codes
}

test(`${OUTLINE} of one recovery code, each with a challenge of its own, one succeeds, ${DETAIL}`, async t => {
  const { here, race, challenges, stateOf, rewind } = await openTwo(t)
  const { id } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    await rewind(id)
    const { length, [round % PARALLEL]: code = '' } = await giveRecoveryCodes(here, id)
    const own = await challenges('ada')
    const tally = await race(async (service, index) => await finish(service, own[index] ?? '', { code }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CODE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: PARALLEL - 1, recoveryCodes: length - 1, stepAccepted: false
    }], `round ${round}`)
  }
})

test(`${OUTLINE} of one challenge with different recovery codes, one succeeds and uses its code, ${DETAIL}`, async t => {
  const { here, race, stateOf } = await openTwo(t)
  const { id } = await signUpWithTotp(here, 'ada')
  for (let round = 1; round <= ROUNDS; round++) {
    const codes = await giveRecoveryCodes(here, id)
    const challenge = await challengeOf(here, 'ada')
    const tally = await race(async (service, index) => await finish(service, challenge, { code: codes[index] ?? '' }))
    t.strictSame([tally, await stateOf(id)], [{ 200: 1, '401 CHALLENGE_INVALID': PARALLEL - 1 }, {
      sessions: 1 + round, challenges: 0, recoveryCodes: codes.length - 1, stepAccepted: true
    }], `round ${round}`)
  }
})

/** The ways to sign in with a passkey: what gives the challenge, and what takes the response. */
const PASSKEY_SIGN_INS = {
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

for (const [title, { begin, end }] of Object.entries(PASSKEY_SIGN_INS)) {
  // A device counts its signatures; a synced passkey says 0.
  for (const counts of title === 'without a password' ? [true, false] : [true]) {
    const passkey = `a passkey that counts ${counts ? 'its signatures' : 'nothing'}`
    test(`${OUTLINE} of one response of ${passkey}, ${title}, one succeeds, ${DETAIL}`, async t => {
      const { here, race, stateOf } = await openTwo(t)
      const { userId, authenticator } = await signUpWithPasskey(here, 'ada')
      for (let round = 1; round <= ROUNDS; round++) {
        const challenge = await begin(here)
        const response = authenticator.get(challenge, { counter: counts ? round : 0 })
        const tally = await race(async service => await end(service, challenge, response))
        t.strictSame([tally, await stateOf(userId)], [{ 200: 1, '401 CHALLENGE_INVALID': PARALLEL - 1 }, {
          sessions: 1 + round, challenges: 0, recoveryCodes: 10, stepAccepted: null
        }], `round ${round}`)
      }
      t.strictSame(await here.sql('SELECT (data ->> \'counter\')::int AS counter FROM credentials WHERE kind = \'passkey\''),
        [{ counter: counts ? ROUNDS : 0 }])
      t.strictSame(await here.sql('SELECT FROM challenges'), [])
    })
  }
}

test('parallel registrations on two instances never exceed MAX_PASSKEYS', async t => {
  const max = 3
  const { here, there, race } = await openTwo(t, max)
  const options = async (service: TestApp, token: string) => await service.as(token, 'POST', '/api/users/me/passkeys/options')
  const register = async (service: TestApp, token: string, created: CreationOptions) => await service.as(
    token, 'POST', '/api/users/me/passkeys', { response: new Authenticator().create(created) })
  const count = async (userId: number) =>
    (await here.sql('SELECT FROM credentials WHERE user_id = $1 AND kind = \'passkey\'', [userId])).length

  for (let round = 0; round < 10; round++) {
    const name = `user${round}`
    const { userId, accessToken } = await signUpWithPasskey(here, name)
    await enrolPasskey(there, accessToken)
    // All of these began while there was a place left.
    const begun = await Promise.all(Array.from({ length: PARALLEL }, async (_, index) =>
      (await options(index % 2 ? here : there, accessToken)).json<CreationOptions>()))
    const tally = await race(async (service, index) =>
      await register(service, accessToken, begun[index] ?? { challenge: '', user: { id: '' } }))
    t.strictSame([tally, await count(userId)], [{ 201: 1, '401 CHALLENGE_INVALID': PARALLEL - 1 }, max], name)
  }

  for (let round = 0; round < 10; round++) {
    const name = `racer${round}`
    const { userId, accessToken } = await signUpWithPasskey(here, name)
    // Each of these begins while others end.
    await Promise.all(Array.from({ length: 10 }, async (_, index) => {
      const service = index % 2 ? here : there
      for (;;) {
        const begun = await options(service, accessToken)
        if (begun.status !== 200) return t.match(begun, { status: 409, body: { code: 'PASSKEYS_EXCEEDED' } })
        const { status } = await register(service, accessToken, begun.json<CreationOptions>())
        if (![201, 401, 409].includes(status)) t.fail(`a registration was answered by ${status}`)
      }
    }))
    t.equal(await count(userId), max, name)
  }
})

/** Begins to add a second factor. @returns what completes it */
type Enrolment = (service: TestApp, token: string) => Promise<() => Promise<Response>>

const ENROLMENTS: Record<string, Enrolment> = {
  'an authenticator app': async ({ as }, token) => {
    const { secret } = (await as(token, 'POST', '/api/users/me/totp')).json<{ secret: string }>()
    return async () => await as(token, 'PUT', '/api/users/me/totp', { code: codeOf(secret) })
  },
  'a passkey': async ({ as }, token) => {
    const options = (await as(token, 'POST', '/api/users/me/passkeys/options')).json<CreationOptions>()
    const response = new Authenticator().create(options)
    return async () => await as(token, 'POST', '/api/users/me/passkeys', { response })
  }
}

/** Asserts that of the sessions of a user one is left, and that these others work nowhere. */
async function onlySession (
  t: Test, { here, there }: { here: TestApp, there: TestApp }, current: SignedIn, others: SignedIn[]
): Promise<void> {
  const left = await here.sql<{ id: string }>('SELECT id FROM refresh_tokens WHERE user_id = $1', [current.id])
  t.strictSame(left, [{ id: here.app.accessTokens.verify(current.accessToken).sid }])
  for (const { accessToken, refreshToken } of others) {
    for (const service of [here, there]) {
      const { status } = await service.post('/api/auth/refreshtoken', { refreshToken })
      if (status !== 403) t.fail(`a refresh token was answered by ${status}`)
      await until('the access token to be rejected', async () =>
        (await service.as(accessToken, 'GET', '/api/test/user')).status === 401, 2000)
    }
  }
}

for (const [title, begin] of Object.entries(ENROLMENTS)) {
  test(`adding ${title} during sign-ins leaves no session without it, ${DETAIL}`, async t => {
    const { here, there } = await openTwo(t)
    let raced = 0
    for (let round = 0; round < ROUNDS; round++) {
      const name = `user${round}`
      await here.signUp(name)
      const [owner, earlier] = [await here.signIn(name), await there.signIn(name)]
      const complete = await begin(here, owner.accessToken)
      const signIn = async (service: TestApp) => await service.post('/api/auth/signin', { username: name, password: PASSWORD })
      const [added, ...signIns] = await Promise.all([
        // After none, one or two of the sign-ins.
        new Promise(resolve => { setTimeout(resolve, round % 10) }).then(complete),
        ...[there, here, there, there, there].map(signIn)
      ])
      t.match(added, { status: title === 'a passkey' ? 201 : 200, body: { recoveryCodes: { length: 10 } } })
      const opened = signIns.filter(({ status }) => status === 200)
      for (const response of signIns) {
        if (!opened.includes(response)) t.match(response, { status: 401, body: { code: 'SECOND_FACTOR_REQUIRED' } })
      }
      if (opened.length > 0 && opened.length < signIns.length) raced++
      await onlySession(t, { here, there }, owner, [earlier, ...opened.map(({ json }) => json<SignedIn>())])
      t.match(await signIn(there), { status: 401, body: { code: 'SECOND_FACTOR_REQUIRED' } })
    }
    t.ok(raced > 0, `in ${raced} rounds some sign-ins came before it, and some after it`)
  })
}

test(`removing a passkey during sign-ins with it leaves no session of it, ${DETAIL}`, async t => {
  const { here, there } = await openTwo(t)
  const { begin, end } = PASSKEY_SIGN_INS['without a password']
  let raced = 0
  for (let round = 0; round < ROUNDS; round++) {
    const { userId: id, id: passkey, authenticator, accessToken, refreshToken } = await signUpWithPasskey(here, `user${round}`)
    const signIns = await Promise.all(Array.from({ length: 6 }, async () => {
      const challenge = await begin(there)
      return async () => await end(there, challenge, authenticator.get(challenge))
    }))
    const [removed, ...responses] = await Promise.all([
      new Promise(resolve => { setTimeout(resolve, round % 10) }).then(async () =>
        await here.as(accessToken, 'DELETE', `/api/users/me/passkeys/${passkey}`)),
      ...signIns.map(async signIn => await signIn())
    ])
    t.equal(removed.status, 200)
    const opened = responses.filter(({ status }) => status === 200)
    for (const response of responses) {
      if (!opened.includes(response)) t.match(response, { status: 401, body: { code: 'CODE_INVALID' } })
    }
    if (opened.length > 0 && opened.length < responses.length) raced++
    await onlySession(t, { here, there }, { id, accessToken, refreshToken }, opened.map(({ json }) => json<SignedIn>()))
  }
  t.comment(`in ${raced} rounds some sign-ins came before it, and some after it`)
})
