import { test } from 'tap'
import { signUpBody, startApp } from '../support/app.ts'

const common = { message: 'Failed! The password is one of the most common.', code: 'PASSWORD_WEAK' }
const named = {
  message: 'Failed! The password is made of the username, the e-mail address or the name of the service.',
  code: 'PASSWORD_WEAK'
}

test('a sign-up with a password that is easy to guess is rejected with the reason', async t => {
  const { post, sql } = await startApp(t)
  for (const [password, body] of [
    ['12345678', common], ['Password1', common], ['qwertyuiop', common],
    ['alicealice', named], ['alice!123', named], ['gatehouse!', named]
  ] as const) {
    const response = await post('/api/auth/signup', { ...signUpBody('alice'), password })
    t.equal(response.status, 400, password)
    t.strictSame(response.body, body, password)
  }
  t.strictSame(await sql('SELECT FROM users'), [])
  t.equal((await post('/api/auth/signup', signUpBody('alice'))).status, 200)
})

test('PASSWORD_BLOCKLIST=off accepts them', async t => {
  const { post } = await startApp(t, { PASSWORD_BLOCKLIST: 'off' })
  t.equal((await post('/api/auth/signup', { ...signUpBody('alice'), password: '12345678' })).status, 200)
})

test('PASSWORD_MIN_LENGTH counts characters', async t => {
  const { post } = await startApp(t, { PASSWORD_MIN_LENGTH: 12 })
  const response = await post('/api/auth/signup', { ...signUpBody('alice'), password: 'x'.repeat(11) })
  t.equal(response.status, 400)
  t.strictSame(response.body, { message: 'password must be 12 to 256 characters', code: 'VALIDATION_FAILED' })
  t.equal((await post('/api/auth/signup', { ...signUpBody('alice'), password: 'zwölf Zeichen' })).status, 200)
})

test('the characters of a password are counted after normalization', async t => {
  const { post } = await startApp(t)
  // Seven letters with a combining accent each: 14 code points, 7 characters.
  const response = await post('/api/auth/signup', { ...signUpBody('alice'), password: 'e\u0301'.repeat(7) })
  t.equal(response.status, 400)
  t.strictSame(response.body,
    { message: 'Failed! The password is shorter than 8 characters in Unicode form NFKC.', code: 'PASSWORD_WEAK' })
  t.equal((await post('/api/auth/signup', { ...signUpBody('alice'), password: 'e\u0301a\u0301'.repeat(4) })).status, 200)
})
