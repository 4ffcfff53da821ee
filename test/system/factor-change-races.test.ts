import { test, type Test } from 'tap'
import { PASSWORD, type SignedIn, type TestApp } from '../support/app.ts'
import { Authenticator } from '../support/authenticator.ts'
import { openTwo, PARALLEL, PASSKEY_SIGN_INS, type Response, ROUNDS } from '../support/factor-races.ts'
import { codeOf, type CreationOptions, enrolPasskey, signUpWithPasskey } from '../support/factors.ts'
import { until } from '../support/wait.ts'

const DETAIL = `${ROUNDS} rounds on two instances`

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
