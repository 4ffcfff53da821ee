import { test } from 'tap'
import { PASSWORD, signUpBody, startApp, type TestApp } from '../../../support/app.ts'
import { openMailbox, signUpVerified } from '../../../support/mailbox.ts'

const REQUESTED = { message: 'If this address belongs to a user, a mail is on its way.' }
const RESET = { message: 'The password was reset. Please sign in.' }
const TOKEN_INVALID = { message: 'The link is invalid, was used or has expired.', code: 'TOKEN_INVALID' }
const CODE_INVALID = { message: 'The code is wrong or has expired.', code: 'CODE_INVALID' }
const NEW = 'battery staple'

const forgot = async (service: TestApp, email: string) => await service.post('/api/auth/password/forgot', { email })

const reset = async (service: TestApp, body: object) =>
  await service.post('/api/auth/password/reset', { newPassword: NEW, ...body })

const signIn = async (service: TestApp, username: string, password: string) =>
  (await service.post('/api/auth/signin', { username, password })).status

test('a user who has forgotten the password gets a link, chooses another one, and every session ends', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const before = await box.signIn('alice')
  const response = await forgot(box, 'ALICE@example.com')
  t.strictSame([response.status, response.body], [200, REQUESTED])
  t.equal(response.headers['cache-control'], 'no-store')
  const { subject, page, fields, token } = await box.letter('alice@example.com')
  t.equal(subject, 'Reset your password for gatehouse')
  t.equal(page, 'https://auth.example.com/password/reset')
  t.strictSame(fields, { token, purpose: 'password-reset', username: 'alice', email: 'alice@example.com' })

  const changed = await reset(box, { token })
  t.strictSame([changed.status, changed.body], [200, RESET])
  t.equal((await box.as(before.accessToken, 'GET', '/api/users/me')).status, 401)
  t.equal((await box.post('/api/auth/refreshtoken', { refreshToken: before.refreshToken })).status, 403)
  t.equal(await signIn(box, 'alice', PASSWORD), 401)
  t.equal(await signIn(box, 'alice', NEW), 200)
  t.strictSame((await reset(box, { token })).body, TOKEN_INVALID, 'a link works once')
  t.equal((await box.letter('alice@example.com', 2)).subject, 'Your password for gatehouse was reset')
  t.strictSame(await box.sql('SELECT event, user_id, actor_id, detail FROM audit_events WHERE event <> \'user_created\''), [
    { event: 'authn_password_change', user_id: '1', actor_id: '1', detail: { reset: true, takenOver: false } }
  ])
  t.match(box.logs.filter(line => line['event'] === 'authn_password_change'), [{ level: 30, userId: 1, reset: true }])
})

test('the code of the mail works as the link does', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await forgot(box, 'alice@example.com')
  const { code, token } = await box.letter('alice@example.com')
  t.strictSame((await reset(box, { email: 'Alice@Example.com', code: `${code.slice(0, 3)} ${code.slice(3)}` })).body, RESET)
  t.strictSame((await reset(box, { token })).body, TOKEN_INVALID)
})

test('five tries of a code are compared; the link stays valid', async t => {
  const box = await openMailbox(t)
  for (const count of [4, 5]) {
    const [name, email] = [`user${count}`, `user${count}@example.com`]
    await signUpVerified(box, name)
    await forgot(box, email)
    const { code, token } = await box.letter(email)
    const wrong = code === '000000' ? '000001' : '000000'
    for (let i = 0; i < count; i++) {
      const { status, body } = await reset(box, { email, code: wrong })
      t.strictSame([status, body], [400, CODE_INVALID])
    }
    const right = (await reset(box, { email: email.toUpperCase(), code })).body
    t.strictSame(right, count < 5 ? RESET : CODE_INVALID, `after ${count} wrong codes`)
    t.strictSame((await reset(box, { token })).body, count < 5 ? TOKEN_INVALID : RESET)
  }
})

test('an earlier link is void once another one is sent', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await forgot(box, 'alice@example.com')
  const first = await box.letter('alice@example.com')
  await forgot(box, 'alice@example.com')
  const second = await box.letter('alice@example.com', 2)
  t.strictSame((await reset(box, { token: first.token })).body, TOKEN_INVALID)
  t.strictSame((await reset(box, { email: 'alice@example.com', code: first.code })).body, CODE_INVALID)
  t.strictSame((await reset(box, { token: second.token })).body, RESET)
})

test('an unknown address, and that of a disabled user, get the same response and no mail', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await box.sql('UPDATE users SET disabled_at = now()')
  const known = await forgot(box, 'alice@example.com')
  const unknown = await forgot(box, 'nobody@example.com')
  t.strictSame([unknown.status, unknown.body], [known.status, known.body])
  await box.settled()
  t.strictSame(box.server.mails, [])
  t.strictSame((await reset(box, { email: 'nobody@example.com', code: '123456' })).body, CODE_INVALID)
})

test('a link expires after an hour', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await forgot(box, 'alice@example.com')
  const { token, code } = await box.letter('alice@example.com')
  t.strictSame(await box.sql('SELECT (expires_at - created_at)::text AS life FROM email_tokens'), [{ life: '01:00:00' }])
  await box.sql('UPDATE email_tokens SET expires_at = now()')
  t.strictSame((await reset(box, { token })).body, TOKEN_INVALID)
  t.strictSame((await reset(box, { email: 'alice@example.com', code })).body, CODE_INVALID)
  t.equal(await box.app.purge(), 1, 'housekeeping deletes it')
})

test('a link that is used while the password is hashed is invalid', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await forgot(box, 'alice@example.com')
  const { token } = await box.letter('alice@example.com')
  const hash = box.app.passwords.hash
  t.intercept(box.app.passwords, 'hash', {
    value: async (...args: Parameters<typeof hash>) => {
      await box.sql('DELETE FROM email_tokens')
      return await hash(...args)
    }
  })
  const { status, body } = await reset(box, { token })
  t.strictSame([status, body], [400, TOKEN_INVALID])
  t.equal(await signIn(box, 'alice', PASSWORD), 200)
})

test('a weak password is rejected, and the link stays valid', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await forgot(box, 'alice@example.com')
  const { token } = await box.letter('alice@example.com')
  t.match((await reset(box, { token, newPassword: 'alice1234' })).body, { code: 'PASSWORD_WEAK' })
  t.strictSame((await reset(box, { token })).body, RESET)
})

test('whoever has registered somebody else\'s address keeps nothing after the owner\'s reset', async t => {
  const box = await openMailbox(t)
  await box.post('/api/auth/signup', signUpBody('eve'))
  await box.letter('eve@example.com')
  const squatter = await box.signIn('eve')
  await box.as(squatter.accessToken, 'PUT', '/api/users/me/email', { email: 'mallory@example.com' })
  const pending = await box.letter('mallory@example.com')
  await forgot(box, 'eve@example.com')
  const { token } = await box.letter('eve@example.com', 2)
  t.strictSame((await reset(box, { token })).body, RESET)
  t.equal((await box.as(squatter.accessToken, 'GET', '/api/users/me')).status, 401)
  t.equal(await signIn(box, 'eve', PASSWORD), 401)
  t.strictSame((await box.post('/api/auth/email/verify', { token: pending.token, password: NEW })).body, TOKEN_INVALID)
  const owner = await box.post('/api/auth/signin', { username: 'eve', password: NEW })
  t.match((await box.as(owner.json<{ accessToken: string }>().accessToken, 'GET', '/api/users/me')).body,
    { email: 'eve@example.com', emailVerified: true })
})

test('a body that presents both a link and a code, or neither, is invalid', async t => {
  const box = await openMailbox(t)
  const invalid = { message: 'either token, or email and code, is required', code: 'VALIDATION_FAILED' }
  for (const body of [{}, { email: 'a@example.com' }, { code: '123456' }, { token: 'x', email: 'a@example.com', code: '123456' }]) {
    const response = await reset(box, body)
    t.strictSame([response.status, response.body], [400, invalid], JSON.stringify(body))
  }
})

test('without MAIL_URL the routes say which setting is missing', async t => {
  const service = await startApp(t)
  const notConfigured = { message: 'This is not configured. It requires the setting MAIL_URL.', code: 'NOT_CONFIGURED' }
  for (const response of [await forgot(service, 'alice@example.com'), await reset(service, { token: 'x' })]) {
    t.strictSame([response.status, response.body], [501, notConfigured])
  }
})

test('codes are tried 20 times a day per address, over all mails', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const wrong = async (code: string) => await reset(box, { email: 'alice@example.com', code: code === '000000' ? '000001' : '000000' })
  for (let mail = 1; mail <= 5; mail++) {
    await forgot(box, 'alice@example.com')
    const { code, token } = await box.letter('alice@example.com', mail)
    if (mail === 5) {
      t.strictSame((await reset(box, { email: 'alice@example.com', code })).body, CODE_INVALID, 'the 21st try')
      t.strictSame((await reset(box, { token })).body, RESET, 'links are not counted')
    } else for (let i = 0; i < 5; i++) await wrong(code)
  }
  t.match(box.logs.filter(line => line['event'] === 'authn_login_fail')[0], { reason: 'code', route: '/api/auth/password/reset' })
})

test('an address that tries wrong codes is slowed like one that fails to sign in', async t => {
  const box = await openMailbox(t, { RATE_LIMIT_SIGNIN_FAILURES: 3 })
  const seen: number[] = []
  for (let i = 0; i < 4; i++) seen.push((await reset(box, { email: `user${i}@example.com`, code: '123456' })).status)
  t.strictSame(seen, [400, 400, 400, 429])
})
