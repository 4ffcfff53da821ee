import { test, type Test } from 'tap'
import { PASSWORD, type SignedIn, type TestApp } from '../support/app.ts'
import { openMailbox, type Mailbox, signUpVerified } from '../support/mailbox.ts'
import { startMailApp } from '../support/mails.ts'

const ROUNDS = 20
const NEW = 'battery staple'

/** Two instances over one database and one mail server. */
async function openTwo (t: Test) {
  const here = await openMailbox(t, { RATE_LIMIT_SIGNIN_FAILURES: 0 })
  const there = await startMailApp(t, here.server.url, {
    DATABASE_URL: here.url, MAIL_RECIPIENT_LIMIT: 0, RATE_LIMIT_EMAIL: 0, RATE_LIMIT_SIGNIN_FAILURES: 0
  })
  return { here, there }
}

const reset = async (service: TestApp, token: string) =>
  (await service.post('/api/auth/password/reset', { token, newPassword: NEW })).status

/** Asserts that nothing from before a reset works any more. */
async function isOver (t: Test, here: Mailbox, there: TestApp, earlier: SignedIn[]): Promise<void> {
  for (const { accessToken, refreshToken } of earlier) {
    for (const service of [here, there]) {
      const { status } = await service.post('/api/auth/refreshtoken', { refreshToken })
      if (status !== 403) t.fail(`a refresh token from before was answered by ${status}`)
    }
    const { sid } = here.app.accessTokens.verify(accessToken)
    if ((await here.sql('SELECT FROM refresh_tokens WHERE id = $1', [sid])).length > 0) t.fail('its session is alive')
  }
}

test(`after a reset during sign-ins and refreshes no earlier session is alive, ${ROUNDS} rounds on two instances`, async t => {
  const { here, there } = await openTwo(t)
  let raced = 0
  for (let round = 0; round < ROUNDS; round++) {
    const name = `user${round}`
    await signUpVerified(here, name)
    const victim = await here.signIn(name)
    await here.post('/api/auth/password/forgot', { email: `${name}@example.com` })
    const { token } = await here.letter(`${name}@example.com`)
    const signIn = async (service: TestApp) => await service.post('/api/auth/signin', { username: name, password: PASSWORD })
    const refresh = async (service: TestApp) => await service.post('/api/auth/refreshtoken', { refreshToken: victim.refreshToken })
    const [status, ...responses] = await Promise.all([
      reset(here, token), signIn(there), refresh(there), signIn(here), refresh(here), signIn(there)
    ])
    t.equal(status, 200)
    const opened = responses.filter(response => response.status === 200).map(({ json }) => json<SignedIn>())
    if (opened.length > 0) raced++
    await isOver(t, here, there, [victim, ...opened])
    t.equal((await there.post('/api/auth/signin', { username: name, password: PASSWORD })).status, 401)
  }
  t.ok(raced > 0, `in ${raced} rounds a sign-in or a refresh came first`)
})

test(`after a reset during a change of the address no earlier token works, ${ROUNDS} rounds on two instances`, async t => {
  const { here, there } = await openTwo(t)
  const outcomes = { changed: 0, requested: 0 }
  for (let round = 0; round < ROUNDS; round++) {
    const name = `user${round}`
    const address = (host: string) => `${name}@${host}.example.com`
    await signUpVerified(here, name)
    await here.sql('UPDATE users SET email = $2 WHERE username = $1', [name, address('old')])
    const victim = await here.signIn(name)
    const request = async (service: TestApp, email: string) =>
      (await service.as(victim.accessToken, 'PUT', '/api/users/me/email', { email })).status
    await request(here, address('new'))
    await here.post('/api/auth/password/forgot', { email: address('old') })
    const [change, recovery] = [await here.letter(address('new')), await here.letter(address('old'))]
    const confirm = async (service: TestApp, token: string) =>
      (await service.post('/api/auth/email/verify', { token }, { 'x-access-token': victim.accessToken })).status
    const [status, confirmed, requested] = await Promise.all([
      reset(here, recovery.token), confirm(there, change.token), request(there, address('newer'))
    ])
    await here.settled()
    const [user] = await here.sql<{ email: string }>('SELECT email FROM users WHERE username = $1', [name])
    if (confirmed === 200) {
      outcomes.changed++
      // The change came first and voided the link of the old address.
      t.strictSame([status, user?.email], [400, address('new')])
      continue
    }
    if (requested === 202) outcomes.requested++
    t.strictSame([status, user?.email], [200, address('old')])
    await isOver(t, here, there, [victim])
    for (const { token } of [change, ...here.lettersTo(address('newer'))]) {
      t.not(await confirm(here, token), 200)
      t.not((await here.post('/api/auth/email/verify', { token, password: NEW })).status, 200)
    }
    t.strictSame(await here.sql('SELECT FROM email_tokens JOIN users ON users.id = user_id WHERE username = $1', [name]), [])
  }
  t.comment(JSON.stringify(outcomes))
})

test('five codes in parallel on two instances are compared, and no sixth', async t => {
  const { here, there } = await openTwo(t)
  for (let round = 0; round < 10; round++) {
    // Another address each time, because the tries of one are also counted per day.
    const email = `user${round}@example.com`
    await signUpVerified(here, `user${round}`)
    await here.post('/api/auth/password/forgot', { email })
    const { code } = await here.letter(email)
    const wrong = code === '111111' ? '222222' : '111111'
    // Four wrong ones leave a try, five do not.
    const count = 4 + round % 2
    await Promise.all(Array.from({ length: count }, async (_, index) => await (index % 2 ? here : there).post(
      '/api/auth/password/reset', { email, code: wrong, newPassword: NEW })))
    const { status } = await there.post('/api/auth/password/reset', { email, code, newPassword: NEW })
    t.equal(status, count === 4 ? 200 : 400, `round ${round}`)
  }
})

test('of 20 parallel uses of one link on two instances, one succeeds, 30 rounds', async t => {
  const { here, there } = await openTwo(t)
  await signUpVerified(here, 'alice')
  for (let round = 0; round < 30; round++) {
    await here.post('/api/auth/password/forgot', { email: 'alice@example.com' })
    const { token } = await here.letter('alice@example.com', round * 2 + 1)
    const uses = await Promise.all(Array.from({ length: 20 }, async (_, index) =>
      await reset(index % 2 ? here : there, token)))
    t.equal(uses.filter(status => status === 200).length, 1, `round ${round}: ${uses.join(' ')}`)
    // The mail that tells of the reset.
    await here.letter('alice@example.com', round * 2 + 2)
  }
})
