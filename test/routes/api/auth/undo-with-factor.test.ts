import { test } from 'tap'
import { CHALLENGE_INVALID, FACTOR_INVALID, factorRequired } from '../../../support/factor-errors.ts'
import { challengeOf, enrolPasskey, enrolTotp, FACTOR_SETTINGS, finish } from '../../../support/factors.ts'
import { type Mailbox, openMailbox, signUpVerified } from '../../../support/mailbox.ts'

// The link that undoes a change of the address of a user with second factors.

const NEW = 'battery staple'
const UNDONE = { message: 'The e-mail address was restored, and a mail to choose a new password is on its way.' }

const kinds = async ({ sql }: Mailbox) =>
  (await sql<{ kind: string }>('SELECT kind FROM credentials ORDER BY kind')).map(({ kind }) => kind)

/** Ada, with a verified address. */
async function signUpAda (box: Mailbox): Promise<string> {
  await signUpVerified(box, 'ada')
  return (await box.signIn('ada')).accessToken
}

/** Changes the address. @returns the link that undoes it */
async function changeAddress (box: Mailbox, accessToken: string): Promise<string> {
  const email = 'ada@evil.example.com'
  await box.as(accessToken, 'PUT', '/api/users/me/email', { email })
  const { token } = await box.letter(email)
  await box.post('/api/auth/email/verify', { token }, { 'x-access-token': accessToken })
  await box.settled()
  return box.lettersTo('ada@example.com').at(-1)?.token ?? ''
}

const undo = async (box: Mailbox, token: string) => (await box.post('/api/auth/email/undo', { token })).body

/** The link of the mail to choose a new password. */
async function resetLink (box: Mailbox): Promise<string> {
  await box.settled()
  return box.lettersTo('ada@example.com').at(-1)?.token ?? ''
}

const reset = async ({ post }: Mailbox, body: object) =>
  await post('/api/auth/password/reset', { newPassword: NEW, ...body })

test('earlier factors are kept, and the reset requires one; those that were added since are dropped', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken, recoveryCodes: [code = ''] } = await enrolTotp(box, await signUpAda(box))
  const link = await changeAddress(box, accessToken)
  const { authenticator } = await enrolPasskey(box, accessToken)
  const challenge = await challengeOf(box, 'ada')
  t.strictSame(await undo(box, link), UNDONE)
  t.strictSame(await kinds(box), ['recovery_codes', 'totp'])
  const { challenge: anonymous } = (await box.post('/api/auth/signin/passkey/options', {})).json<{ challenge: string }>()
  const signedIn = await box.post('/api/auth/signin/passkey', { response: authenticator.get(anonymous) })
  t.strictSame([signedIn.status, signedIn.body], [401, FACTOR_INVALID])
  const late = await finish(box, challenge, { code })
  t.strictSame([late.status, late.body], [401, CHALLENGE_INVALID])
  const token = await resetLink(box)
  const asked = await reset(box, { token })
  t.strictSame([asked.status, asked.body],
    [401, factorRequired(asked.json<{ challenge: string }>().challenge, ['totp', 'recovery-code'])])
  t.equal((await reset(box, { token, secondFactor: { code } })).status, 200)
})

test('factors that were all added since are dropped with their recovery codes, and the reset requires none', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const accessToken = await signUpAda(box)
  const link = await changeAddress(box, accessToken)
  await enrolTotp(box, accessToken)
  await enrolPasskey(box, accessToken)
  t.strictSame(await undo(box, link), UNDONE)
  t.strictSame(await kinds(box), [])
  t.equal((await reset(box, { token: await resetLink(box) })).status, 200)
})

test('recovery codes are not kept without a second factor', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken } = await enrolTotp(box, await signUpAda(box))
  const link = await changeAddress(box, accessToken)
  // The codes are older than the change, but the only factor is newer.
  await enrolPasskey(box, accessToken)
  await box.as(accessToken, 'DELETE', '/api/users/me/totp')
  t.strictSame(await kinds(box), ['passkey', 'password', 'recovery_codes'])
  t.strictSame(await undo(box, link), UNDONE)
  t.strictSame(await kinds(box), [])
})

test('recovery codes that were replaced since are dropped', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken } = await enrolTotp(box, await signUpAda(box))
  const link = await changeAddress(box, accessToken)
  t.equal((await box.as(accessToken, 'POST', '/api/users/me/recovery-codes')).status, 201)
  t.strictSame(await undo(box, link), UNDONE)
  t.strictSame(await kinds(box), ['totp'])
})

test('a change of the address needs a session that is fresh by the second factor', async t => {
  const box = await openMailbox(t, FACTOR_SETTINGS)
  const { accessToken } = await enrolTotp(box, await signUpAda(box))
  await box.sql('UPDATE refresh_tokens SET amr = ARRAY[\'pwd\']')
  box.app.sessionCache.invalidate(1)
  const response = await box.as(accessToken, 'PUT', '/api/users/me/email', { email: 'ada@new.example.com' })
  t.match([response.status, response.body], [401, { code: 'REAUTHENTICATION_REQUIRED' }])
})
