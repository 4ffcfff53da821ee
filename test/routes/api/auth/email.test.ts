import { test } from 'tap'
import { ApiError } from '../../../../src/errors.ts'
import { PASSWORD, SECRET, signUpBody, startApp, type TestApp } from '../../../support/app.ts'
import { startMailServer } from '../../../support/mail-server.ts'
import { openMailbox, signUpVerified } from '../../../support/mailbox.ts'
import { logged, startMailApp } from '../../../support/mails.ts'
import { until } from '../../../support/wait.ts'

const REQUESTED = { message: 'If this address has to be verified, a mail is on its way.' }
const VERIFIED = { message: 'The e-mail address was confirmed.' }
const UNDONE = { message: 'The e-mail address was restored, and a mail to choose a new password is on its way.' }
const TOKEN_INVALID = { message: 'The link is invalid, was used or has expired.', code: 'TOKEN_INVALID' }
const PROOF_REQUIRED = { message: 'To confirm this address, sign in or enter the password of the user.', code: 'PROOF_REQUIRED' }
const NEW = 'battery staple'

const verify = async (service: TestApp, body: object, accessToken?: string) =>
  await service.post('/api/auth/email/verify', body, accessToken === undefined ? {} : { 'x-access-token': accessToken })

const changeTo = async (service: TestApp, accessToken: string, email: string) =>
  await service.as(accessToken, 'PUT', '/api/users/me/email', { email })

const me = async (service: TestApp, accessToken: string) =>
  (await service.as(accessToken, 'GET', '/api/users/me')).body

/** A new user who has not verified the address, signed in, and the mail of the sign-up. */
async function signUpBob (box: Awaited<ReturnType<typeof openMailbox>>) {
  await box.post('/api/auth/signup', signUpBody('bob'))
  return { ...await box.signIn('bob'), letter: await box.letter('bob@example.com') }
}

test('a sign-up is asked to verify the address, and does so with a living session', async t => {
  const box = await openMailbox(t)
  const { accessToken, refreshToken, letter: { page, fields, token, subject } } = await signUpBob(box)
  t.equal(subject, 'Confirm your e-mail address for gatehouse')
  t.equal(page, 'https://auth.example.com/email/verify')
  t.strictSame(fields, { token, purpose: 'verification', username: 'bob', email: 'bob@example.com' })
  t.match(await me(box, accessToken), { emailVerified: false })
  const response = await verify(box, { token }, accessToken)
  t.strictSame([response.status, response.body], [200, VERIFIED])
  t.match(await me(box, accessToken), { emailVerified: true })
  t.equal((await box.post('/api/auth/refreshtoken', { refreshToken })).status, 200, 'everything is kept')
  t.strictSame((await verify(box, { token }, accessToken)).body, TOKEN_INVALID, 'a link works once')
  t.strictSame(await box.sql('SELECT detail FROM audit_events WHERE event = \'user_updated\''),
    [{ detail: { email: 'verified', takenOver: false } }])
})

test('the password proves that the user acts as well, and a wrong one leaves the link valid', async t => {
  const box = await openMailbox(t)
  const { accessToken, letter: { code, token } } = await signUpBob(box)
  const wrong = await verify(box, { token, password: 'wrong' })
  t.match([wrong.status, wrong.body], [401, { code: 'PASSWORD_INVALID' }])
  t.strictSame((await verify(box, { email: 'bob@example.com', code, password: PASSWORD })).body, VERIFIED)
  t.match(await me(box, accessToken), { emailVerified: true })
})

test('the mailbox alone verifies nothing', async t => {
  const box = await openMailbox(t)
  const { letter: { token, code } } = await signUpBob(box)
  await signUpVerified(box, 'eve')
  const eve = await box.signIn('eve')
  for (const response of [
    await verify(box, { token }), await verify(box, { email: 'bob@example.com', code }),
    await verify(box, { token }, 'x.y.z'), await verify(box, { token }, eve.accessToken)
  ]) t.strictSame([response.status, response.body], [400, PROOF_REQUIRED])
  t.strictSame(await box.sql('SELECT email_verified_at FROM users WHERE username = \'bob\''), [{ email_verified_at: null }])
  t.strictSame((await verify(box, { token, password: PASSWORD })).body, VERIFIED, 'the link stays valid')
})

test('the owner of the mailbox takes over a user whose address was never verified', async t => {
  const box = await openMailbox(t)
  const squatter = await signUpBob(box)
  await changeTo(box, squatter.accessToken, 'mallory@example.com')
  const pending = await box.letter('mallory@example.com')
  t.strictSame((await verify(box, { token: squatter.letter.token, newPassword: NEW })).body, VERIFIED)
  t.equal((await box.as(squatter.accessToken, 'GET', '/api/users/me')).status, 401)
  t.equal((await box.post('/api/auth/refreshtoken', { refreshToken: squatter.refreshToken })).status, 403)
  t.equal((await box.post('/api/auth/signin', { username: 'bob', password: PASSWORD })).status, 401)
  t.equal((await box.post('/api/auth/signin', { username: 'bob', password: NEW })).status, 200)
  t.strictSame((await verify(box, { token: pending.token, password: NEW })).body, TOKEN_INVALID)
})

test('a new password is no proof for a verified user, nor for a new address', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await changeTo(box, accessToken, 'alice@new.example.com')
  const { token } = await box.letter('alice@new.example.com')
  t.strictSame((await verify(box, { token, newPassword: NEW })).body, PROOF_REQUIRED)
  t.match(await me(box, accessToken), { email: 'alice@example.com' })
})

test('a new password is no proof for the new address of a user who was never verified either', async t => {
  const box = await openMailbox(t)
  const { accessToken } = await signUpBob(box)
  await changeTo(box, accessToken, 'bob@new.example.com')
  const { token } = await box.letter('bob@new.example.com')
  t.strictSame((await verify(box, { token, newPassword: NEW })).body, PROOF_REQUIRED)
})

test('what happens while a password is hashed counts', async t => {
  const box = await openMailbox(t)
  const { hash } = box.app.passwords
  let meanwhile = ''
  t.intercept(box.app.passwords, 'hash', {
    value: async (...args: Parameters<typeof hash>) => {
      if (meanwhile !== '') await box.sql(meanwhile)
      return await hash(...args)
    }
  })
  const changes: Array<[change: string, expected: object]> = [
    ['UPDATE users SET email_verified_at = now()', PROOF_REQUIRED],
    ['UPDATE users SET disabled_at = now()', TOKEN_INVALID],
    ['DELETE FROM users', TOKEN_INVALID]
  ]
  for (const [index, [change, expected]] of changes.entries()) {
    meanwhile = ''
    const name = `user${index}`
    await box.post('/api/auth/signup', signUpBody(name))
    const { token } = await box.letter(`${name}@example.com`)
    meanwhile = change
    t.strictSame((await verify(box, { token, newPassword: NEW })).body, expected, change)
  }
})

test('a user who is deleted once the token was found has none', async t => {
  const box = await openMailbox(t)
  const { letter: { token } } = await signUpBob(box)
  await box.post('/api/auth/password/forgot', { email: 'bob@example.com' })
  const reset = await box.letter('bob@example.com', 2)
  const { query } = box.app.db
  t.intercept(box.app.db, 'query', {
    value: async (...args: Parameters<typeof query>) =>
      ['user_by_id', 'credentials_by_id'].includes(args[0].name) ? [] : await query(...args)
  })
  t.strictSame((await verify(box, { token, newPassword: NEW })).body, PROOF_REQUIRED)
  t.match((await verify(box, { token, password: PASSWORD })).body, { code: 'PASSWORD_INVALID' })
  t.strictSame((await box.post('/api/auth/password/reset', { token: reset.token, newPassword: NEW })).body, TOKEN_INVALID)
})

test('a proof that the database cannot check is a 503', async t => {
  const box = await openMailbox(t)
  const { letter: { token }, accessToken } = await signUpBob(box)
  t.intercept(box.app, 'identify', { value: async () => { throw new ApiError('DATABASE_UNAVAILABLE') } })
  t.equal((await verify(box, { token }, accessToken)).status, 503)
})

test('mails about nobody, and links that are void, are not sent', async t => {
  const box = await openMailbox(t)
  await box.signUp('alice')
  const { db, mail } = box.app
  await mail.queue(db, { kind: 'email-change', recipient: 'nobody@example.com' })
  await mail.queue(db, { kind: 'email-changed', recipient: 'nobody@example.com' })
  await mail.queue(db, { kind: 'email-changed', recipient: 'alice@old.example.com', userId: 1 })
  await box.settled()
  t.strictSame(box.server.mails, [])

  const { app, sql } = await startApp(t)
  await app.mailUndo(app.db, { id: 1, email: 'alice@example.com', emailVerified: true })
  t.strictSame(await sql('SELECT FROM email_tokens'), [], 'without mail there is no link')
})

test('another mail is sent on request, unless the address is verified or unknown', async t => {
  const box = await openMailbox(t)
  const { letter } = await signUpBob(box)
  await signUpVerified(box, 'alice')
  for (const email of ['Bob@example.com', 'alice@example.com', 'nobody@example.com']) {
    const response = await box.post('/api/auth/email/verification', { email })
    t.strictSame([response.status, response.body], [200, REQUESTED], email)
  }
  await box.settled()
  t.strictSame(box.server.mails.map(({ to }) => to), [['bob@example.com'], ['bob@example.com']])
  t.strictSame((await verify(box, { token: letter.token, password: PASSWORD })).body, TOKEN_INVALID, 'the first link is void')
})

test('a new address takes effect when it is confirmed, and the old one is told how to undo it', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const session = await box.signIn('alice')
  const response = await changeTo(box, session.accessToken, 'alice@new.example.com')
  t.strictSame([response.status, response.body], [202, { message: 'Please confirm the new address. A mail is on its way.' }])
  t.match(await me(box, session.accessToken), { email: 'alice@example.com' })
  const { token, page, fields } = await box.letter('alice@new.example.com')
  t.equal(page, 'https://auth.example.com/email/verify')
  t.strictSame(fields, { token, purpose: 'email-change', username: 'alice', email: 'alice@new.example.com' })
  t.strictSame((await verify(box, { token }, session.accessToken)).body, VERIFIED)
  t.match(await me(box, session.accessToken), { email: 'alice@new.example.com', emailVerified: true })

  const undo = await box.letter('alice@example.com')
  t.equal(undo.page, 'https://auth.example.com/email/undo')
  t.strictSame(await box.sql('SELECT purpose, (expires_at - created_at)::text AS life, code_hash FROM email_tokens'),
    [{ purpose: 'undo', life: '7 days', code_hash: null }])
  const undone = await box.post('/api/auth/email/undo', { token: undo.token })
  t.strictSame([undone.status, undone.body], [200, UNDONE])
  t.equal((await box.as(session.accessToken, 'GET', '/api/users/me')).status, 401)
  t.equal((await box.post('/api/auth/signin', { username: 'alice', password: PASSWORD })).status, 401, 'the password is void')
  t.strictSame(await box.sql('SELECT email, email_verified_at IS NOT NULL AS verified FROM users'),
    [{ email: 'alice@example.com', verified: true }])
  t.strictSame((await box.post('/api/auth/email/undo', { token: undo.token })).body, TOKEN_INVALID)
  const reset = await box.letter('alice@example.com', 2)
  t.equal((await box.post('/api/auth/password/reset', { token: reset.token, newPassword: NEW })).status, 200)
  t.equal((await box.post('/api/auth/signin', { username: 'alice', password: NEW })).status, 200)
})

test('the first address can be restored after two changes, and after a password reset in between', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  for (const next of ['one@evil.example.com', 'two@evil.example.com']) {
    await changeTo(box, accessToken, next)
    await verify(box, { token: (await box.letter(next)).token }, accessToken)
  }
  const undo = await box.letter('alice@example.com')
  const other = await box.letter('one@evil.example.com', 2)
  await box.post('/api/auth/password/forgot', { email: 'two@evil.example.com' })
  const reset = await box.letter('two@evil.example.com', 2)
  t.equal((await box.post('/api/auth/password/reset', { token: reset.token, newPassword: NEW })).status, 200)
  t.strictSame((await box.post('/api/auth/email/undo', { token: undo.token })).body, UNDONE)
  t.strictSame((await box.post('/api/auth/email/undo', { token: other.token })).body, TOKEN_INVALID)
  t.strictSame(await box.sql('SELECT email FROM users'), [{ email: 'alice@example.com' }])
})

test('an address that was never verified gets a link to undo its change as well', async t => {
  const box = await openMailbox(t)
  const { accessToken } = await signUpBob(box)
  await changeTo(box, accessToken, 'bob@new.example.com')
  await verify(box, { token: (await box.letter('bob@new.example.com')).token }, accessToken)
  const { token } = await box.letter('bob@example.com', 2)
  t.strictSame((await box.post('/api/auth/email/undo', { token })).body, UNDONE)
})

test('while a change can be undone, nobody else gets the former address', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await changeTo(box, accessToken, 'alice@new.example.com')
  await verify(box, { token: (await box.letter('alice@new.example.com')).token }, accessToken)
  const undo = await box.letter('alice@example.com')
  const signUp = async () => await box.post('/api/auth/signup', { ...signUpBody('squatter'), email: 'Alice@example.com' })
  t.strictSame((await signUp()).body, { message: 'Failed! Email is already in use!', code: 'EMAIL_TAKEN' })

  await signUpVerified(box, 'eve')
  const eve = await box.signIn('eve')
  t.equal((await changeTo(box, eve.accessToken, 'alice@example.com')).status, 202)
  t.equal((await box.letter('alice@example.com', 2)).subject, 'Your e-mail address is already in use for gatehouse')

  await box.sql('UPDATE users SET email = \'alice@example.com\' WHERE username = \'eve\'')
  const taken = await box.post('/api/auth/email/undo', { token: undo.token })
  t.match([taken.status, taken.body], [400, { code: 'EMAIL_TAKEN' }], 'by hand')
  await box.sql('UPDATE email_tokens SET expires_at = now()')
  await box.sql('DELETE FROM users WHERE username = \'eve\'')
  t.equal((await signUp()).status, 200, 'later it is free')
})

test('a user can take the former address back like any other', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  for (const [address, count] of [['alice@new.example.com', 1], ['alice@example.com', 2]] as const) {
    await changeTo(box, accessToken, address)
    t.strictSame((await verify(box, { token: (await box.letter(address, count)).token }, accessToken)).body, VERIFIED)
  }
  t.match(await me(box, accessToken), { email: 'alice@example.com' })
})

test('the link that undoes a change is the same at every attempt to send it, also with a new secret', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await changeTo(box, accessToken, 'alice@new.example.com')
  const { token } = await box.letter('alice@new.example.com')
  await box.server.kill()
  await verify(box, { token }, accessToken)
  await logged(box, 'mail delayed')
  await box.app.close()
  const server = await startMailServer(t)
  const other = await startMailApp(t, server.url, {
    DATABASE_URL: box.url, JWT_SECRET: 'another secret for the tests, with 47 characters', JWT_SECRET_ACCEPTED: [SECRET]
  })
  await other.sql('UPDATE mails SET next_attempt_at = now() WHERE sent_at IS NULL')
  other.app.mail.wake()
  const mail = await until('the mail', () => server.mails[0])
  const [, undo = ''] = /#token=([\w-]+)/.exec(mail.text) ?? []
  t.strictSame((await other.post('/api/auth/email/undo', { token: undo })).body, UNDONE)
})

test('the address that an undo takes away is told', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await changeTo(box, accessToken, 'alice@new.example.com')
  await verify(box, { token: (await box.letter('alice@new.example.com')).token }, accessToken)
  await box.post('/api/auth/email/undo', { token: (await box.letter('alice@example.com')).token })
  t.equal((await box.letter('alice@new.example.com', 2)).subject, 'Your e-mail address for gatehouse was changed back')
})

test('a changed password, and a disabled user, make earlier links void', async t => {
  const box = await openMailbox(t)
  const { accessToken } = await signUpBob(box)
  const forgot = async (count: number) => {
    await box.post('/api/auth/password/forgot', { email: 'bob@example.com' })
    return (await box.letter('bob@example.com', count)).token
  }
  const reset = async (token: string) => (await box.post('/api/auth/password/reset', { token, newPassword: NEW })).body
  const first = await forgot(2)
  await box.as(accessToken, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW })
  await box.letter('bob@example.com', 3)
  t.strictSame(await reset(first), TOKEN_INVALID)
  const second = await forgot(4)
  await box.sql('UPDATE users SET disabled_at = now()')
  t.strictSame(await reset(second), TOKEN_INVALID)
  await box.sql('UPDATE users SET disabled_at = NULL')
  t.strictSame(await reset(second), TOKEN_INVALID)
})

test('requests for mails to an address do not keep its owner from the mail of the sign-up', async t => {
  const box = await openMailbox(t, { MAIL_RECIPIENT_LIMIT: 1 })
  for (let i = 0; i < 3; i++) await box.post('/api/auth/email/verification', { email: 'bob@example.com' })
  await box.settled()
  await box.post('/api/auth/signup', signUpBody('bob'))
  t.equal((await box.letter('bob@example.com')).subject, 'Confirm your e-mail address for gatehouse')
})

test('requests for one kind of mail do not keep a user from the others, nor from one that an admin asks for', async t => {
  const box = await openMailbox(t, { MAIL_RECIPIENT_LIMIT: 2 })
  await signUpVerified(box, 'alice')
  await signUpVerified(box, 'ada', ['admin'])
  for (let i = 0; i < 3; i++) await box.post('/api/auth/email/verification', { email: 'alice@example.com' })
  for (let i = 0; i < 3; i++) {
    await box.post('/api/auth/password/forgot', { email: 'alice@example.com' })
    await box.settled()
  }
  const resets = () => box.lettersTo('alice@example.com').filter(({ fields }) => fields['purpose'] === 'password-reset').length
  t.equal(resets(), 2)
  const { accessToken } = await box.signIn('ada')
  t.equal((await box.as(accessToken, 'POST', '/api/users/1/password-reset')).status, 202)
  await box.settled()
  t.equal(resets(), 3)
})

test('whoever signs up and deletes the user again and again can flood no address', async t => {
  const box = await openMailbox(t, { MAIL_RECIPIENT_LIMIT: 2 })
  for (let i = 0; i < 4; i++) {
    await box.post('/api/auth/signup', signUpBody('bob'))
    const { accessToken } = await box.signIn('bob')
    await changeTo(box, accessToken, 'carol@example.com')
    await box.settled()
    t.equal((await box.as(accessToken, 'DELETE', '/api/users/me', { password: PASSWORD })).status, 200)
  }
  t.equal(box.lettersTo('bob@example.com').length, 2)
  t.equal(box.lettersTo('carol@example.com').length, 2)
})

test('a taken address gets the same response, and its owner is told', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  await signUpVerified(box, 'eve')
  const { accessToken } = await box.signIn('eve')
  const free = await changeTo(box, accessToken, 'eve@new.example.com')
  const taken = await changeTo(box, accessToken, 'Alice@example.com')
  t.strictSame([taken.status, taken.body], [free.status, free.body])
  t.equal((await box.letter('alice@example.com')).subject, 'Your e-mail address is already in use for gatehouse')
  t.equal(box.lettersTo('alice@example.com')[0]?.token, '')
})

test('of several users who ask for the same address, the code of the last one is valid, and the link of each', async t => {
  const box = await openMailbox(t)
  const tokens = []
  for (const name of ['alice', 'eve']) {
    await signUpVerified(box, name)
    const { accessToken } = await box.signIn(name)
    await changeTo(box, accessToken, 'new@example.com')
    tokens.push({ accessToken, ...await box.letter('new@example.com', tokens.length + 1) })
  }
  const [alice, eve] = tokens
  const byCode = { email: 'new@example.com', code: alice?.code, password: PASSWORD }
  t.match((await verify(box, byCode)).body, { code: 'CODE_INVALID' })
  t.match((await verify(box, { ...byCode, code: eve?.code, password: 'wrong' })).body, { code: 'PASSWORD_INVALID' })
  t.strictSame((await verify(box, { token: alice?.token }, alice?.accessToken)).body, VERIFIED)
})

test('an address that is taken before the change is confirmed is rejected', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await changeTo(box, accessToken, 'bob@example.com')
  const { token } = await box.letter('bob@example.com')
  await box.signUp('bob')
  const response = await verify(box, { token }, accessToken)
  t.match([response.status, response.body], [400, { code: 'EMAIL_TAKEN' }])
  t.match(await me(box, accessToken), { email: 'alice@example.com' })
})

test('a link is void once the address was changed by hand', async t => {
  const box = await openMailbox(t)
  const { accessToken, letter } = await signUpBob(box)
  await box.post('/api/auth/password/forgot', { email: 'bob@example.com' })
  const reset = await box.letter('bob@example.com', 2)
  await box.sql('UPDATE users SET email = \'robert@example.com\'')
  t.strictSame((await verify(box, { token: letter.token }, accessToken)).body, TOKEN_INVALID)
  t.strictSame((await box.post('/api/auth/password/reset', { token: reset.token, newPassword: NEW })).body, TOKEN_INVALID)
})

test('a proof that is withdrawn meanwhile verifies nothing', async t => {
  const box = await openMailbox(t)
  const { letter: { token }, accessToken } = await signUpBob(box)
  const { recheck } = box.app
  t.intercept(box.app, 'recheck', {
    value: async (...args: Parameters<typeof recheck>) => {
      await args[0].query({ name: 'end', text: 'DELETE FROM refresh_tokens', values: [] })
      await recheck.apply(box.app, args)
    }
  })
  t.match((await verify(box, { token }, accessToken)).body, { code: 'ACCESS_TOKEN_INVALID' })
  const { verify: verifyHash } = box.app.passwords
  t.intercept(box.app.passwords, 'verify', {
    value: async (...args: Parameters<typeof verifyHash>) => {
      const matches = await verifyHash(...args)
      await box.sql('UPDATE credentials SET version = version + 1')
      return matches
    }
  })
  t.match((await verify(box, { token, password: PASSWORD })).body, { code: 'PASSWORD_INVALID' })
  t.strictSame(await box.sql('SELECT email_verified_at FROM users'), [{ email_verified_at: null }])
})

test('an admin starts the reset of a user', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'ada', ['admin'])
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('ada')
  const response = await box.as(accessToken, 'POST', '/api/users/2/password-reset')
  t.strictSame([response.status, response.body], [202, { message: 'A mail to reset the password is on its way.' }])
  const { token } = await box.letter('alice@example.com')
  t.equal((await box.post('/api/auth/password/reset', { token, newPassword: NEW })).status, 200)
  t.equal((await box.as(accessToken, 'POST', '/api/users/9/password-reset')).status, 404)
})

test('a changed password is told by mail', async t => {
  const box = await openMailbox(t)
  await signUpVerified(box, 'alice')
  const { accessToken } = await box.signIn('alice')
  await box.as(accessToken, 'PUT', '/api/users/me/password', { currentPassword: PASSWORD, newPassword: NEW })
  t.equal((await box.letter('alice@example.com')).subject, 'Your password for gatehouse was changed')
})

test('EMAIL_VERIFICATION=required: sign-in waits for the verification, and unverified users are deleted in time', async t => {
  const box = await openMailbox(t, { EMAIL_VERIFICATION: 'required', UNVERIFIED_TTL: 3600 })
  await box.post('/api/auth/signup', signUpBody('bob'))
  const early = await box.post('/api/auth/signin', { username: 'bob', password: PASSWORD })
  t.strictSame([early.status, early.body],
    [403, { message: 'Please verify your e-mail address and try again.', code: 'EMAIL_NOT_VERIFIED' }])
  t.equal((await box.post('/api/auth/signin', { username: 'bob', password: 'wrong' })).status, 401)
  const { token } = await box.letter('bob@example.com')
  t.strictSame((await verify(box, { token, password: PASSWORD })).body, VERIFIED)
  t.equal((await box.post('/api/auth/signin', { username: 'bob', password: PASSWORD })).status, 200)

  await box.post('/api/auth/signup', signUpBody('eve'))
  await box.signUp('imported')
  await box.post('/api/auth/signup', signUpBody('promoted'))
  await box.sql('INSERT INTO user_roles (user_id, role_id) SELECT id, 3 FROM users WHERE username = \'promoted\'')
  await box.settled()
  await box.sql('UPDATE users SET created_at = now() - interval \'2 h\', unverified_until = unverified_until - interval \'2 h\'')
  await box.app.purge()
  t.strictSame(await box.sql('SELECT username FROM users ORDER BY id'), [{ username: 'bob' }, { username: 'imported' }, { username: 'promoted' }])
  t.strictSame(await box.sql('SELECT event, user_id, actor_id, detail FROM audit_events WHERE event = \'user_deleted\''),
    [{ event: 'user_deleted', user_id: '2', actor_id: null, detail: { unverified: true } }])
})

test('EMAIL_VERIFICATION=off asks nobody to verify an address', async t => {
  const box = await openMailbox(t, { EMAIL_VERIFICATION: 'off' })
  await box.post('/api/auth/signup', signUpBody('bob'))
  const response = await box.post('/api/auth/email/verification', { email: 'bob@example.com' })
  t.strictSame([response.status, response.body],
    [501, { message: 'This is not configured. It requires the setting EMAIL_VERIFICATION.', code: 'NOT_CONFIGURED' }])
  t.strictSame(await box.sql('SELECT FROM mails'), [])
})

test('without MAIL_URL the routes say which setting is missing', async t => {
  const service = await startApp(t)
  await service.signUp('ada', ['admin'])
  const { accessToken } = await service.signIn('ada')
  for (const response of [
    await service.post('/api/auth/email/verification', { email: 'a@example.com' }),
    await verify(service, { token: 'x' }),
    await service.post('/api/auth/email/undo', { token: 'x' }),
    await changeTo(service, accessToken, 'a@example.com'),
    await service.as(accessToken, 'POST', '/api/users/1/password-reset')
  ]) {
    t.strictSame([response.status, response.body],
      [501, { message: 'This is not configured. It requires the setting MAIL_URL.', code: 'NOT_CONFIGURED' }])
  }
})

test('links point to the pages of a front-end if the settings name them', async t => {
  const box = await openMailbox(t, { MAIL_LINK_VERIFICATION: 'https://app.example.com/welcome?from=mail' })
  await box.post('/api/auth/signup', signUpBody('bob'))
  t.equal((await box.letter('bob@example.com')).page, 'https://app.example.com/welcome')
})
